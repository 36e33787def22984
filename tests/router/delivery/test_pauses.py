"""A paused destination: nothing goes there, all waits, and goes when it is over."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, empty_town, event, say
from simulation.clock import START_MS
from simulation.invariants import audited, broken
from simulation.world import Act, Town

from bus.errors import BusError
from bus.messages import AuditRecord, Event, Outcome, Step
from router.core.pause import OPEN_END_MS
from router.pipeline import Pipeline
from router.services.pauses import commands as commands_of
from router.services.replay import commands

HOUR_S = 3_600
DAY_S = 24 * HOUR_S


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(HOUR_S)
        yield town
        assert not [each for far in town.fars.values() for each in far.violations]


def lives(town: Town, seconds: float, doing: Act | None = None) -> None:
    """One life of the router. `doing`: what a person does soon after its start."""
    town.live(until_quiet=False, stop_after_s=seconds, doing=doing)


def pause(town: Town, for_s: int = 0, system: str = "lms") -> None:
    """One life, in which a person pauses a destination."""

    async def act(pipeline: Pipeline) -> None:
        until_ms = town.loop.now_ms() + for_s * 1000 if for_s else 0
        await pipeline.pauses.pause(system, until_ms, "ada", "upgrade")

    lives(town, 60, act)


async def resume(pipeline: Pipeline) -> None:
    await pipeline.pauses.resume("lms", "kim", "it is up")


def student(at: int = 0, **fields: str) -> Event:
    return event("1", at_ms=START_MS + at, name="Ada", **fields)


def sends(town: Town, far: str) -> int:
    return sum(town.fars[far].sent.values())


def acts(town: Town) -> list[AuditRecord]:
    """What the audit has of it, in order."""
    found = {each for told in audited(town).values() for each in told if each.step is Step.OPERATOR}
    return sorted(found, key=lambda each: each.at_ms)


def tries(town: Town, far: str) -> int:
    """How often its adapter was called."""
    return sum(f"apply {far}" in line for line in town.trace.lines)


def shown_ms(town: Town, system: str = "lms") -> int:
    """Until when the server shows the durable as paused."""
    return town.server.durables["CHANGES", system].paused_until_ms


def test_nothing_goes_to_a_paused_destination_and_the_others_get_all(town: Town) -> None:
    pause(town)
    say(town, student(grade="9"))
    lives(town, HOUR_S)
    say(town, student(1, grade="10"))
    lives(town, DAY_S // 2)

    assert (sends(town, "lms"), sends(town, "idp")) == (0, 2)
    assert town.disk.rows("index.sqlite", "SELECT destination FROM work") == [("lms",)]
    assert town.server.durables["CHANGES", "lms"].floor == 2, "markers go on"


def test_it_goes_on_by_itself_at_its_time_with_each_record_once_and_says_so(town: Town) -> None:
    pause(town, for_s=2 * HOUR_S)
    say(town, student(grade="9"))
    say(town, student(1, grade="10"))
    lives(town, 2 * HOUR_S - 120)
    before = sends(town, "lms")
    lives(town, 300)

    assert (before, sends(town, "lms")) == (0, 1)
    assert town.fars["lms"].records["student/1"].fields["grade"] == "10"
    paused, ended = acts(town)
    assert (paused.outcome, paused.who) == (Outcome.PAUSED, "ada")
    assert paused.reason.startswith("paused until 2026-") and paused.reason.endswith(": upgrade")
    assert (ended.outcome, ended.who) == (Outcome.ACCEPTED, "yellowbus")
    assert ended.reason == "resumed: its time has come (ada: upgrade)"
    assert 0 <= ended.at_ms - paused.at_ms - 2 * HOUR_S * 1000 <= 60_000
    assert town.disk.rows("index.sqlite", "SELECT * FROM pause") == []
    assert broken(town, by_script=False) == []


def test_a_worker_that_hears_nothing_goes_on_at_the_end_of_the_pause(town: Town) -> None:
    pause(town, for_s=HOUR_S)
    say(town, student())
    lives(town, 60)
    ends_s = (shown_ms(town) - START_MS) / 1000
    lives(town, ends_s - town.loop.time() + 1)  # before anybody looks whether it is over

    assert sends(town, "lms") == 1


def test_a_person_ends_it_sooner(town: Town) -> None:
    pause(town, for_s=DAY_S)
    say(town, student())
    lives(town, HOUR_S)
    assert sends(town, "lms") == 0
    lives(town, 60, resume)

    assert sends(town, "lms") == 1
    assert [(each.outcome, each.who) for each in acts(town)] == [
        (Outcome.PAUSED, "ada"),
        (Outcome.ACCEPTED, "kim"),
    ]
    assert shown_ms(town) == 0


def test_what_is_not_paused_cannot_be_resumed(town: Town) -> None:
    pause(town, system="idp")

    async def refused(pipeline: Pipeline) -> None:
        with pytest.raises(BusError, match="lms: it is not paused"):
            await resume(pipeline)

    lives(town, 60, refused)
    assert len(acts(town)) == 1


def test_one_that_is_paused_gets_another_end_and_is_paused_since_the_first_time(town: Town) -> None:
    pause(town, for_s=HOUR_S)
    first = town.disk.rows("index.sqlite", "SELECT since_ms FROM pause")
    pause(town, for_s=3 * HOUR_S)
    say(town, student())
    lives(town, 2 * HOUR_S)

    assert sends(town, "lms") == 0
    assert town.disk.rows("index.sqlite", "SELECT since_ms FROM pause") == first


def test_the_probe_of_an_open_breaker_does_not_go(town: Town) -> None:
    town.fars["lms"].down_until_s = town.loop.time() + 30 * DAY_S
    say(town, student())
    lives(town, HOUR_S)
    first = tries(town, "lms")
    lives(town, HOUR_S)
    assert tries(town, "lms") > first > 1
    pause(town)
    paused = tries(town, "lms")
    lives(town, 3 * HOUR_S)

    assert tries(town, "lms") == paused


def test_a_pause_with_no_end_is_told_once_a_day_and_one_with_an_end_is_not(town: Town) -> None:
    pause(town)
    pause(town, for_s=20 * DAY_S, system="idp")
    told = []
    for hours in (23, 1, 1, 23):
        town.loop.pass_time(hours * HOUR_S)
        lives(town, 60)
        told.append(len(alerts(town)))

    assert told == [0, 1, 1, 2]
    assert set(alerts(town)) == {"paused"}


def test_the_server_shows_it_also_when_it_could_not_be_told_at_once(town: Town) -> None:
    town.weather.rates["bus.gone"] = 1.0
    pause(town)
    assert shown_ms(town) == 0
    town.weather.rates["bus.gone"] = 0.0
    lives(town, 60)

    assert shown_ms(town) == OPEN_END_MS
    assert shown_ms(town, "idp") == 0


def test_a_durable_that_shows_what_is_over_is_put_right_by_the_next_start(town: Town) -> None:
    assert town.live()
    town.server.durables["CHANGES", "lms"].paused_until_ms = OPEN_END_MS
    lives(town, 5)

    assert shown_ms(town) == 0


def test_a_replay_puts_its_names_and_nothing_is_sent_until_it_is_over(town: Town) -> None:
    say(town, student())
    assert town.live()
    town.fars["lms"].records.clear()
    pause(town)
    sent = sends(town, "lms")

    async def replay(pipeline: Pipeline) -> None:
        [start] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == "replay.start"]
        says = {"system": "lms", "since": "30d", "why": "restored", "force": True}
        await start.answer("kim", json.dumps(says).encode())

    lives(town, 60, replay)
    waiting = town.disk.rows("index.sqlite", "SELECT put FROM work")
    assert (waiting, sends(town, "lms")) == ([("replay.1",)], sent)
    lives(town, 60, resume)

    assert sends(town, "lms") == sent + 1
    assert town.disk.rows("index.sqlite", "SELECT state FROM job") == [("done",)]


def test_a_destination_that_was_taken_out_is_told_of_no_more_and_can_be_resumed(town: Town) -> None:
    pause(town)
    systems = {name: rule for name, rule in town.district.systems.items() if name != "lms"}
    town.district, town.fars = replace(town.district, systems=systems), {**town.fars}
    del town.fars["lms"]
    town.loop.pass_time(2 * DAY_S)
    lives(town, 60)
    assert alerts(town) == []

    async def by_command(pipeline: Pipeline) -> None:
        [command] = [each for each in commands_of(pipeline, town.loop.now_ms) if each.what == "resume"]
        await command.answer("kim", b'{"system": "lms", "why": "it is gone"}')
        with pytest.raises(BusError, match="no destination here"):
            await command.answer("kim", b'{"system": "lms", "why": "it is gone"}')

    lives(town, 60, by_command)
    assert [each.who for each in acts(town)] == ["ada", "kim"]
    assert town.disk.rows("index.sqlite", "SELECT * FROM pause") == []


def test_whoever_takes_the_end_from_a_long_one_is_not_told_of_it_at_once(town: Town) -> None:
    pause(town, for_s=3 * DAY_S)
    town.loop.pass_time(2 * DAY_S)
    pause(town)
    assert alerts(town) == []
    town.loop.pass_time(DAY_S)
    lives(town, 60)

    assert alerts(town) == ["paused"]


def test_one_that_was_over_before_it_is_paused_again_has_its_end_in_the_audit(town: Town) -> None:
    async def twice(pipeline: Pipeline) -> None:
        await pipeline.pauses.pause("lms", town.loop.now_ms() + 1_000, "ada", "upgrade")
        await asyncio.sleep(2)  # and nobody has looked whether it is over
        await pipeline.pauses.pause("lms", 0, "ada", "it takes longer")

    lives(town, 5, twice)

    assert [(each.outcome, each.who) for each in acts(town)] == [
        (Outcome.PAUSED, "ada"),
        (Outcome.ACCEPTED, "yellowbus"),
        (Outcome.PAUSED, "ada"),
    ]
