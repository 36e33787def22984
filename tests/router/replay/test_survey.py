"""Edited rules of a destination reach what it has already, and no further than a person lets them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from simulation.by_hand import alerts, empty_town, event, say
from simulation.clock import START_MS
from simulation.invariants import audited, broken
from simulation.world import Town

from bus.messages import AuditRecord, Op, Step
from router.core.rules import Guards, Limit
from router.pipeline import Pipeline

ADA = {"name": "Ada", "grade": "9"}
LIMIT = 3


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        tight = Limit(share=1.0, records=LIMIT)
        guards = Guards(district_creates=tight, district_updates=tight, district_removes=tight)
        town.district = replace(town.district, guards=guards)
        town.loop.pass_time(3_600)
        yield town


def edit(town: Town, system: str, **changed: Any) -> None:
    """Another filter or mapping of students in the destination's file."""
    rule = town.district.systems[system]
    assert rule.destination is not None
    entities = dict(rule.destination.entities)
    entities["student"] = replace(entities["student"], **changed)
    written = f"{rule.destination.written}+"
    destination = replace(rule.destination, entities=entities, written=written)
    systems = {**town.district.systems, system: replace(rule, destination=destination)}
    town.district = replace(town.district, systems=systems)


class Only(str):
    """A filter: these grades alone."""

    variables = ("grade",)

    def execute(self, context: dict[str, object], /) -> object:
        return context["grade"] == str(self)


def students(town: Town, count: int) -> None:
    say(town, *[event(f"{n}", at_ms=START_MS, **ADA) for n in range(1, count + 1)])
    assert town.live()


def jobs(town: Town) -> list[tuple[str, str]]:
    return [(id_, state) for id_, state in town.disk.rows("index.sqlite", "SELECT id, state FROM job")]


def puts(town: Town) -> list[AuditRecord]:
    return [told[0] for told in audited(town).values() if told[0].step is Step.PUT]


def test_what_a_new_filter_leaves_out_is_removed_there(town: Town) -> None:
    students(town, LIMIT)
    far = town.fars["lms"]
    say(town, event("1", at_ms=START_MS + 1, **{**ADA, "grade": "10"}))
    assert town.live()
    edit(town, "lms", when=Only("10"))
    assert town.live()

    assert jobs(town) == [("rules.1", "done")]
    assert set(far.records) == {"student/1"}
    assert sorted((each.key, each.op) for each in puts(town)) == [
        ("student/2", Op.DELETE),
        ("student/3", Op.DELETE),
    ]
    assert broken(town, by_script=False) == []


def test_an_edit_beyond_the_limits_waits_for_a_person(town: Town) -> None:
    students(town, LIMIT + 1)
    far = town.fars["lms"]
    edit(town, "lms", when=Only("10"))
    assert town.live()
    assert (jobs(town), alerts(town)) == ([("rules.1", "paused")], ["held-job"])
    assert len(far.records) == LIMIT + 1

    async def approve(pipeline: Pipeline) -> None:
        assert pipeline.jobs.report("rules.1") == {"changes": [["student", "delete", LIMIT + 1]]}
        await pipeline.jobs.resume("rules.1", "ada", "they have left")

    town.acts.append(approve)
    assert town.live()

    assert jobs(town) == [("rules.1", "done")]
    assert far.records == {}


def test_an_edit_that_is_taken_back_cancels_what_waits_for_it(town: Town) -> None:
    students(town, LIMIT + 1)
    before = town.district
    edit(town, "lms", when=Only("10"))
    assert town.live()
    town.district = before
    assert town.live()

    assert jobs(town) == [("rules.1", "cancelled"), ("rules.2", "done")]
    assert len(town.fars["lms"].records) == LIMIT + 1
    assert puts(town) == []


def test_rules_that_nobody_edited_make_no_job(town: Town) -> None:
    students(town, 2)
    assert town.live()

    assert jobs(town) == []
