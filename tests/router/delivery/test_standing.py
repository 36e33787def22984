"""What the status and `explain` say of a work list: in which state its records are, since when and why."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.waiting import idp_first
from simulation.world import Town

from bus.messages import Event, Op
from router.core.schedule import Schedule, window_of
from router.pipeline import Pipeline
from router.services.explain import commands
from router.services.status import status_of

HOUR_S = 3_600
KEY = "student/1"


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(HOUR_S)
        yield town


def student(id_: str = "1", at: int = 0, **fields: str) -> Event:
    return event(id_, at_ms=START_MS + at, name="Ada", **fields)


class Seen(NamedTuple):
    """What one look has found: `status` of the LMS, and what `explain` says of the record there."""

    status: dict[str, Any]
    waits: dict[str, Any]

    @property
    def states(self) -> dict[str, int]:
        return {state: each["records"] for state, each in self.status["states"].items()}


async def seen_in(town: Town, pipeline: Pipeline) -> Seen:
    status = status_of(pipeline, town.loop.now_ms())["destinations"]["lms"]
    [explain] = commands(pipeline, town.loop.now_ms)
    answer = json.loads(await explain.answer("ada", json.dumps({"record": KEY}).encode()))
    return Seen(status, answer["systems"]["lms"]["waits"])


def seen(town: Town, *, pause_s: int = 0, when: Callable[[Pipeline], bool] = lambda pipeline: True) -> Seen:
    """What is seen soon after a start, as soon as it is so. `pause_s`: first the LMS is paused so long."""
    found: list[Seen] = []

    async def act(pipeline: Pipeline) -> None:
        if pause_s:
            await pipeline.pauses.pause("lms", town.loop.now_ms() + pause_s * 1000, "ada", "upgrade")
        while not when(pipeline):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(1)
        found.append(await seen_in(town, pipeline))

    town.live(until_quiet=False, stop_after_s=60, doing=act)
    return found[0]


def scheduled(town: Town, schedule: Schedule) -> None:
    lms = town.district.systems["lms"]
    assert lms.destination
    lms = replace(lms, destination=replace(lms.destination, schedule=schedule))
    town.district = replace(town.district, systems={**town.district.systems, "lms": lms})


def test_what_is_paused_counts_so_and_says_by_whom_until_when_and_why(town: Town) -> None:
    begun_ms = town.loop.now_ms()
    say(town, student(), student("2"))
    town.fars["lms"].down_until_s = town.loop.time() + 99 * HOUR_S
    found = seen(town, pause_s=7 * HOUR_S)

    assert found.states == {"paused": 2}
    assert found.status["states"]["paused"]["since_ms"] >= begun_ms
    assert found.status["hindered"]["why"] == "paused by ada: upgrade"
    assert found.status["hindered"]["until_ms"] == found.status["paused"]["until_ms"] > town.loop.now_ms()
    assert (found.waits["state"], found.waits["why"]) == ("paused", "paused by ada: upgrade")
    assert found.waits["until_ms"] == found.status["paused"]["until_ms"]


def test_what_is_outside_its_window_waits_until_that_opens(town: Town) -> None:
    scheduled(town, Schedule((window_of("05:00-05:01"),)))
    say(town, student())
    found = seen(town)

    assert found.states == {"waiting": 1}
    assert found.waits["why"] == "waits because it is outside its window"
    assert found.waits["until_ms"] == found.status["hindered"]["until_ms"] > town.loop.now_ms()


def test_what_came_after_the_time_of_a_cron_waits_for_the_next(town: Town) -> None:
    scheduled(town, Schedule(cron="0 5 * * *"))
    say(town, student())
    found = seen(town)

    assert found.states == {"waiting": 1}
    assert found.status["hindered"] is None
    assert found.waits["why"] == "waits for the next time of its schedule"
    assert found.waits["until_ms"] == found.status["next_ms"] > town.loop.now_ms()


def test_an_open_breaker_is_why_a_record_waits(town: Town) -> None:
    say(town, student(), student("2"))
    town.fars["lms"].down_until_s = town.loop.time() + 99 * HOUR_S
    found = seen(town, when=lambda pipeline: pipeline.workers["lms"].outage.breaker.is_open)

    assert found.states == {"waiting": 2}
    assert found.waits["state"] == "waiting"
    assert found.waits["why"] == "waits because the breaker of lms is open: lms: 503"


def test_what_is_on_its_way_is_ready(town: Town) -> None:
    town.weather.rates["far.hang"] = 1.0
    say(town, student())
    found = seen(town)

    assert (found.states, found.waits["why"]) == ({"ready": 1}, "is ready")


def test_what_a_system_has_put_off_is_tried_again(town: Town) -> None:
    town.weather.rates["far.retry"] = 1.0
    say(town, student())
    found = seen(town, when=lambda pipeline: any(pipeline.store.read("postponed", "lms")[0]))

    assert found.states == {"retrying": 1}
    assert found.waits["why"] == "is tried again: 429"
    assert found.waits["until_ms"] > town.loop.now_ms() - 60_000


def test_what_waits_for_another_system_says_for_which_also_while_paused(town: Town) -> None:
    town.district = idp_first(town.district)
    town.fars["idp"].down_until_s = town.loop.time() + 99 * HOUR_S
    say(town, student())
    found = seen(town)
    paused = seen(town, pause_s=HOUR_S)

    for each in (found, paused):
        assert each.states == {"waiting": 1}
        assert (each.waits["state"], each.waits["for"]) == ("waiting", "idp")
        assert each.waits["why"].startswith("waits for idp")


def test_a_removal_beyond_a_limit_is_held(town: Town) -> None:
    say(town, student())
    assert town.live()
    town.weather.rates["far.hold"] = 1.0
    say(town, event("1", op=Op.DELETE, at_ms=START_MS + 1))
    found = seen(town, when=lambda pipeline: bool(pipeline.workers["lms"].alarms.held_work))

    assert found.states == {"held": 1}
    assert (found.waits["state"], found.waits["why"]) == ("held", "too many removals")
