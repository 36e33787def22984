"""Seven hours in which a destination does not answer, ten changes of each record meanwhile, a replay on top:
when it is back it gets each record once, as it is then.
"""

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from simulation.by_hand import empty_town, event, records, say
from simulation.systems import Far
from simulation.world import Town

from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Event
from router.pipeline import Pipeline
from router.services.replay import commands

HALF_HOUR_S = 1_800.0
OUTAGE_S = 7 * 3_600.0
CHANGES = 10
"""Of each record, while it is away."""


class Lms(Far):
    """The LMS: it may be away, and counts what it is asked to write."""

    def __init__(self, town: Town) -> None:
        super().__init__("lms", compares=True, gives_ids=False)
        self._town = town
        self.away_until_s = 0.0
        self.calls: Counter[str] = Counter()

    def write(self, delivery: Delivery) -> Receipt:
        if self._town.loop.time() < self.away_until_s:
            raise Unavailable("lms: nobody answers")
        self.calls[delivery.key] += 1
        return super().write(delivery)


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def student(town: Town, number: int, turn: int) -> Event:
    fields = {"name": f"Student {number}", "grade": f"{turn}"}
    return event(f"{number}", at_ms=town.loop.now_ms(), **fields)


async def replay(pipeline: Pipeline, town: Town, from_ms: int) -> None:
    """All of the outage, once more."""
    [start] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == "replay.start"]
    says = {"system": "lms", "from_ms": from_ms, "until_ms": town.loop.now_ms(), "why": "it was down"}
    await start.answer("kim", json.dumps(says).encode())


@pytest.mark.parametrize("students", [100, pytest.param(5_000, marks=pytest.mark.slow)])
def test_after_seven_hours_each_record_comes_once_and_a_replay_on_top_sends_nothing(
    town: Town, students: int
) -> None:
    lms = town.fars["lms"] = Lms(town)
    say(town, *(student(town, number, 0) for number in range(students)))
    assert town.live()
    assert sum(lms.calls.values()) == students
    lms.calls.clear()

    from_ms = town.loop.now_ms()
    lms.away_until_s = town.loop.time() + OUTAGE_S
    for turn in range(1, CHANGES + 1):
        say(town, *(student(town, number, turn) for number in range(students)))
        town.live(until_quiet=False, stop_after_s=HALF_HOUR_S)
    assert lms.calls == {}
    town.loop.pass_time(max(lms.away_until_s - town.loop.time(), 0.0))
    assert town.live()
    back = dict(lms.calls)
    town.acts.append(lambda pipeline: replay(pipeline, town, from_ms))
    assert town.live()
    while town.disk.rows("index.sqlite", "SELECT 1 FROM job WHERE state = 'running'"):
        town.live(until_quiet=False, stop_after_s=60)

    assert town.disk.rows("index.sqlite", "SELECT total, state FROM job") == [(students, "done")]
    assert back == dict.fromkeys(records(town), 1)
    assert sum(lms.calls.values()) <= 1.05 * students
    assert {key: each.fields["grade"] for key, each in lms.records.items()} == dict.fromkeys(
        back, f"{CHANGES}"
    )
    assert lms.violations == []
