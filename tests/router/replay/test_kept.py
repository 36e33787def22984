"""What is older than the index keeps goes, and says so before it does."""

from collections.abc import Iterator

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.world import Town

from bus.errors import BusError
from router.pipeline import Pipeline
from router.replay.kept import KEPT_DAYS, POSITION, first_seq_at, kept_from_ms
from router.services.replay import commands

DAY_S = 86_400


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def lives(town: Town, id_: str) -> None:
    say(town, event(id_, at_ms=town.loop.now_ms() - 1, name="Ada", grade="9"))
    assert town.live()


def test_what_is_too_old_goes_and_what_is_not_stays(town: Town) -> None:
    town.loop.pass_time(DAY_S)
    lives(town, "1")
    town.loop.pass_time(60 * DAY_S)
    lives(town, "2")
    town.loop.pass_time((KEPT_DAYS - 60) * DAY_S + 3_600)
    town.live(until_quiet=False, stop_after_s=60)

    index = "index.sqlite"
    assert town.disk.rows(index, "SELECT seq, record FROM changed") == [(2, 2)]
    assert {told for (told,) in town.disk.rows(index, "SELECT told FROM ended")} == {"[2]"}


def test_a_window_that_is_older_than_what_is_kept_says_from_when_it_can_serve(town: Town) -> None:
    town.loop.pass_time(DAY_S)
    lives(town, "1")
    said: list[str] = []
    town.loop.pass_time((KEPT_DAYS + 1) * DAY_S)
    town.live(until_quiet=False, stop_after_s=60)
    kept_ms = dict(town.disk.rows("index.sqlite", "SELECT name, value FROM position"))[POSITION]

    async def ask(pipeline: Pipeline) -> None:
        [command] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == "replay.preview"]
        for from_ms in (kept_ms - 1, kept_ms):
            try:
                await command.answer("ada", b'{"system": "lms", "from_ms": %d}' % from_ms)
            except BusError as error:
                said.append(error.message)

    town.acts.append(ask)
    assert town.live()

    assert len(said) == 1 and "is not kept (90 days). It can serve from 20" in said[0]


def test_the_first_change_of_a_time_is_the_next_one_if_there_is_none_yet(town: Town) -> None:
    town.loop.pass_time(DAY_S)
    at_ms = town.loop.now_ms()
    lives(town, "1")
    found: list[int] = []

    async def look(pipeline: Pipeline) -> None:
        found.extend([await first_seq_at(pipeline.bus, ms) for ms in (at_ms, town.loop.now_ms() + 1)])

    town.acts.append(look)
    assert town.live()

    assert found == [1, 2]
    assert kept_from_ms(0) == 0
