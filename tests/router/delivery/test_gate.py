"""Delivery windows and cron lines: outside of them work waits, then it goes by itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.invariants import broken
from simulation.world import Act, Town

from bus.messages import Event
from router.core.schedule import Schedule, window_of
from router.pipeline import Pipeline
from router.services.replay import commands

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
ZONE = "America/New_York"


@pytest.fixture
def town() -> Iterator[Town]:
    """Empty, at noon of its first day."""
    with empty_town() as town:
        noon_ms = (
            datetime.fromtimestamp(START_MS / 1000, UTC)
            .astimezone(ZoneInfo(ZONE))
            .replace(hour=12, minute=0, second=0, microsecond=0)
            .timestamp()
            * 1000
            + DAY_S * 1000
        )
        town.loop.pass_time((noon_ms - START_MS) / 1000)
        yield town
        assert not [each for far in town.fars.values() for each in far.violations]


def scheduled(town: Town, *windows: str, cron: str = "") -> None:
    """The LMS is told then."""
    schedule = Schedule(tuple(map(window_of, windows)), cron)
    lms = town.district.systems["lms"]
    assert lms.destination
    lms = replace(lms, destination=replace(lms.destination, schedule=schedule))
    systems = {**town.district.systems, "lms": lms}
    town.district = replace(town.district, systems=systems, timezone=ZONE)


def student(at: int = 0, id_: str = "1", **fields: str) -> Event:
    return event(id_, at_ms=START_MS + at, name="Ada", **fields)


def sends(town: Town, far: str = "lms") -> int:
    return sum(town.fars[far].sent.values())


def lives(town: Town, hours: float, doing: Act | None = None) -> int:
    """One life of the router; how often the LMS was sent something until its end."""
    town.live(until_quiet=False, stop_after_s=hours * HOUR_S, doing=doing)
    return sends(town)


def test_outside_its_window_work_waits_and_goes_when_it_opens(town: Town) -> None:
    scheduled(town, "22:00-05:00")
    say(town, student(grade="9"))
    say(town, student(1, grade="10"))

    assert [lives(town, 9.9), sends(town, "idp"), lives(town, 0.2)] == [0, 1, 1]
    assert town.fars["lms"].records["student/1"].fields["grade"] == "10"
    assert broken(town, by_script=False) == []


def test_a_router_that_runs_through_opens_and_closes_at_the_times(town: Town) -> None:
    scheduled(town, "13:00-14:00", "16:00-17:00")
    found: list[tuple[float, int]] = []
    noon_s = town.loop.time()
    for number, hour in enumerate((0.5, 1.5, 2.5, 4.5, 5.5)):
        town.loop.call_later(hour * HOUR_S, say, town, student(number, grade=f"{number}"))
        town.loop.call_later((hour + 0.4) * HOUR_S, lambda: found.append((town.loop.time(), sends(town))))
    lives(town, 10)

    assert [round((at_s - noon_s) / HOUR_S, 1) for at_s, _ in found] == [0.9, 1.9, 2.9, 4.9, 5.9]
    assert [count for _, count in found] == [0, 2, 2, 4, 4]
    assert sends(town) == 4


def test_a_pause_stands_in_an_open_window_and_a_closed_window_after_a_pause(town: Town) -> None:
    scheduled(town, "11:00-14:00")

    async def pause(pipeline: Pipeline) -> None:
        until_ms = town.loop.now_ms() + 4 * HOUR_S * 1000
        await pipeline.pauses.pause("lms", until_ms, "ada", "upgrade")

    lives(town, 0.1, pause)
    say(town, student())

    assert [lives(town, 6), lives(town, 18)] == [0, 1]


def test_at_each_time_of_its_cron_what_was_on_the_list_goes_and_the_rest_at_the_next(town: Town) -> None:
    scheduled(town, cron="0 * * * *")
    say(town, student(id_="1"))
    assert lives(town, 0.9) == 0
    town.loop.call_later(0.2 * HOUR_S, say, town, student(id_="2"))
    assert lives(town, 0.9) == 1, "the first at one o'clock"
    assert lives(town, 0.3) == 2, "the second at two"
    assert lives(town, 24) == 2


def test_a_start_between_the_times_sends_nothing(town: Town) -> None:
    scheduled(town, cron="0 13 * * *")
    say(town, student())
    town.loop.pass_time(1.5 * HOUR_S)

    assert [lives(town, 1), lives(town, 1)] == [0, 0]


def test_what_was_ready_at_its_time_goes_though_it_was_down_then(town: Town) -> None:
    scheduled(town, cron="0 13 * * *")
    say(town, student())
    assert lives(town, 0.5) == 0
    town.loop.pass_time(2 * HOUR_S)

    assert lives(town, 0.1) == 1


def test_what_is_tried_again_goes_on_between_the_times(town: Town) -> None:
    scheduled(town, cron="0 13 * * *")
    say(town, student())
    town.fars["lms"].down_until_s = town.loop.time() + 1.2 * HOUR_S

    assert [lives(town, 1.1), lives(town, 1)] == [0, 1]


def test_a_replay_waits_for_the_time_as_a_whole(town: Town) -> None:
    town.apply_max = 5
    say(town, *(student(id_=f"{number}") for number in range(30)))
    assert town.live()
    sent = sends(town)
    scheduled(town, cron="0 13 * * *")

    async def replay(pipeline: Pipeline) -> None:
        [start] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == "replay.start"]
        says = {"system": "lms", "since": "30d", "why": "restored", "force": True}
        await start.answer("kim", json.dumps(says).encode())

    lives(town, 0.05, replay)
    assert town.disk.rows("index.sqlite", "SELECT count(*) FROM work") == [(30,)]
    town.loop.pass_time(HOUR_S)

    assert lives(town, 0.05) == sent + 30
    assert town.disk.rows("index.sqlite", "SELECT state FROM job") == [("done",)]
