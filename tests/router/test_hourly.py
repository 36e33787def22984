"""Of many alerts of one cause a person sees the first at once, and how many followed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from simulation.by_hand import say
from simulation.world import Town
from two_ids import identity_town, student

from bus.codec import decode_alert
from bus.messages import Event
from router.alerts import HOUR_MS
from router.database import Sqlite
from router.hourly import Hourly
from router.store import QUERIES, Store


@pytest.fixture
def town() -> Iterator[Town]:
    with identity_town() as town:
        yield town


def nobody(number: int) -> Event:
    return student(f"nobody{number}", system="idp", name=f"N{number}", born="1")


def texts(town: Town) -> list[str]:
    return [decode_alert(stored.body).text for stored in town.server.streams["ALERTS"].history]


def lives(town: Town, hours: float) -> None:
    town.live(until_quiet=False, stop_after_s=hours * 3600)


def test_the_first_is_told_at_once_and_the_others_with_their_count_when_the_hour_ends(town: Town) -> None:
    say(town, *map(nobody, range(4)))
    lives(town, 0.1)
    (first,) = texts(town)
    say(town, *map(nobody, range(4, 9)))
    lives(town, 0.5)
    assert texts(town) == [first]
    lives(town, 1)

    assert texts(town) == [first, f"8 more within the hour after: {first}"]
    lives(town, 3)
    assert len(texts(town)) == 2
    assert town.disk.rows("index.sqlite", "SELECT * FROM hourly") == []


def test_one_alone_is_told_once(town: Town) -> None:
    say(town, nobody(1))
    lives(town, 3)

    assert len(texts(town)) == 1


def test_what_comes_before_the_count_was_said_says_it(town: Town) -> None:
    say(town, *map(nobody, range(3)))
    lives(town, 0.1)
    town.loop.pass_time(2 * 3600)  # nobody is there to say it
    say(town, nobody(9))
    lives(town, 0.1)

    first, *others = texts(town)
    assert len(others) == 2
    assert any("2 more" in text for text in others) and any(text.startswith(first) for text in others)


async def test_the_next_one_after_the_hour_says_how_many_were_not_told(tmp_path: Path) -> None:
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        store = Store(database)
        for now_ms, count in ((0, 3), (HOUR_MS, 1)):
            hourly = Hourly(store, now_ms)
            for number in range(count):
                hourly.tell("conflict", "sis", "student.email", f"{now_ms}.{number}", "Two have changed it.")
            await store.commit(hourly.writes)

    (last,) = hourly.messages
    assert decode_alert(last.body).text == "Two have changed it. 2 more since the last alert of it."


@pytest.mark.parametrize("step", ["commit index hourly", "committed index hourly", "publish ALERTS"])
def test_a_crash_forgets_no_count_and_tells_none_twice(town: Town, step: str) -> None:
    say(town, *map(nobody, range(4)))
    lives(town, 0.1)
    town.loop.pass_time(2 * 3600)
    assert not town.live(lambda name: name == step, until_quiet=False, stop_after_s=600)
    lives(town, 0.1)

    first, *others = texts(town)
    assert others == [f"3 more within the hour after: {first}"]
