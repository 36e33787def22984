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
from simulation.waiting import idp_first, no_seniors
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


def enrollment(id_: str) -> Event:
    also = {"student": "1", "class": "", "role": "student"}
    return event(id_, entity="enrollment", at_ms=START_MS, **also)


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


def test_what_waited_for_another_system_goes_when_that_has_it_and_not_a_time_later(town: Town) -> None:
    town.district = idp_first(town.district)
    scheduled(town, cron="0 13 * * *")
    say(town, student(id_="1"), student(id_="2"))
    town.fars["idp"].down_until_s = town.loop.time() + 2 * HOUR_S

    assert [lives(town, 1.5), sends(town, "idp")] == [0, 0]
    town.loop.call_later(0.1 * HOUR_S, say, town, student(1, id_="3"))
    assert [lives(town, 3), sends(town, "idp")] == [2, 3], "the third has come after one o'clock"
    assert lives(town, 24) == 3


def test_one_life_long_what_was_woken_after_the_list_was_through_goes(town: Town) -> None:
    town.district = idp_first(town.district)
    scheduled(town, cron="0 13 * * *")
    say(town, student(id_="1"))
    town.fars["idp"].down_until_s = town.loop.time() + 2 * HOUR_S

    assert lives(town, 5) == 1


def test_what_refers_to_a_record_goes_at_the_same_time(town: Town) -> None:
    town.district = no_seniors(town.district)
    say(town, student(grade="9"), enrollment("7"))
    assert town.live()
    scheduled(town, cron="0 13 * * *")
    say(town, student(1, grade="12"))
    lives(town, 4)

    assert "student/1" not in town.fars["lms"].records
    assert "enrollment/7" not in town.fars["lms"].records
    say(town, student(2, grade="9"))
    lives(town, 24)
    assert {"student/1", "enrollment/7"} <= town.fars["lms"].records.keys()


def test_a_cron_that_is_new_does_not_ask_all_the_time_for_what_was_put_off_before(town: Town) -> None:
    say(town, student())
    town.fars["lms"].hates = frozenset({"student/1"})
    town.fars["lms"].down_until_s = town.loop.time() + HOUR_S
    lives(town, 0.01)
    put_off = "UPDATE work SET not_before_ms = since_ms + 1 WHERE destination = 'lms'"
    town.disk.rows("index.sqlite", put_off)
    scheduled(town, cron="0 13 * * *")
    turns = town.loop.turns
    lives(town, 0.2)

    assert town.disk.rows("index.sqlite", "SELECT count(*) FROM work WHERE destination = 'lms'") == [(1,)]
    assert town.loop.turns - turns < 20_000
