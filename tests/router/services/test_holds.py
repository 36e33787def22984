"""`holds.list` says what a destination's limits hold, and for how long; nobody approves that."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from simulation.answers import gone, students
from simulation.by_hand import empty_town, say
from simulation.world import Town

from router.services.holds import commands


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        systems = dict(town.district.systems)
        lms = systems["lms"].destination
        assert lms is not None
        systems["lms"] = replace(systems["lms"], destination=replace(lms, removes_per_hour=1))
        town.district = replace(town.district, systems=systems)
        yield town


def asked_at(town: Town, at_s: float, answers: list[Any]) -> None:
    """Somebody asks at that time of the life that comes."""

    async def ask() -> None:
        assert town.pipeline
        listed = commands(town.pipeline, town.loop.now_ms)[0]
        answers.append(json.loads(await listed.answer("ada", b""))["destinations"])

    asking: list[asyncio.Task[None]] = []
    town.loop.call_later(at_s, lambda: asking.append(town.loop.create_task(ask())))


def test_removals_beyond_a_destinations_limit_are_listed_until_they_have_gone(town: Town) -> None:
    say(town, *students(4))
    assert town.live()
    begun_ms = town.loop.now_ms()
    say(town, gone("1"), gone("2"), gone("3"))
    answers: list[Any] = []
    for at_s in (120.0, 5_000.0):
        asked_at(town, at_s, answers)
    assert town.live()

    assert [[each["counts"] for each in answer] for answer in answers] == [
        [{"delete": 2}],
        [{"delete": 1}],
    ]
    first = answers[0][0]
    assert (first["system"], first["reason"]) == ("lms", "the limit is 1 removals an hour")
    assert begun_ms <= first["since_ms"] < begun_ms + 60_000
