"""A destination that is added to a district with records is told what comes; a person brings it the rest."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, empty_town, event, say
from simulation.clock import START_MS
from simulation.invariants import broken
from simulation.waiting import idp_first
from simulation.world import Town

from router.core.rules import SystemRule
from router.pipeline import Pipeline
from router.replay.newcomers import is_offered
from router.services.replay import commands

ADA = {"name": "Ada", "grade": "9"}


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3_600)
        yield town


def without(town: Town, name: str) -> SystemRule:
    """Take a system out of the district; returns its rule."""
    systems = dict(town.district.systems)
    rule = systems.pop(name)
    town.district = replace(town.district, systems=systems)
    return rule


def add(town: Town, rule: SystemRule) -> None:
    town.district = replace(town.district, systems={**town.district.systems, rule.name: rule})


def sent(town: Town) -> int:
    return sum(town.fars["lms"].sent.values())


def test_a_new_one_gets_what_changes_and_by_a_backfill_the_rest(town: Town) -> None:
    rule = without(town, "lms")
    far = town.fars.pop("lms")
    say(town, *[event(f"{n}", at_ms=START_MS, **ADA) for n in range(1, 6)])
    assert town.live()
    town.fars["lms"] = far
    add(town, rule)
    assert town.live()
    assert (sent(town), alerts(town)) == (0, ["backfill-offered"])
    say(town, event("1", at_ms=START_MS + 1, **{**ADA, "name": "Bea"}))
    assert town.live()
    assert sent(town) == 1

    offered: list[bool] = []

    async def backfill(pipeline: Pipeline) -> None:
        [start] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == "backfill.start"]
        offered.append(is_offered(pipeline.store, "lms"))
        await start.answer("ada", b'{"system": "lms", "why": "it is new"}')
        offered.append(is_offered(pipeline.store, "lms"))

    town.acts.append(backfill)
    assert town.live()

    assert offered == [True, False]
    assert set(far.records) == {f"student/{n}" for n in range(1, 6)}
    assert sent(town) == 5  # the one that was there already did not go again
    assert alerts(town) == ["backfill-offered"]
    assert broken(town, by_script=False) == []


def test_all_that_begin_with_an_empty_index_get_everything(town: Town) -> None:
    say(town, event("1", at_ms=START_MS, **ADA))
    town.live(turns=40)  # it dies before anything is marked
    assert town.live()

    assert sent(town) == 1
    assert alerts(town) == []


def test_one_that_only_observes_is_offered_nothing(town: Town) -> None:
    rule = without(town, "lms")
    far = town.fars.pop("lms")
    say(town, event("1", at_ms=START_MS, **ADA))
    assert town.live()
    town.fars["lms"] = far
    assert rule.destination is not None
    add(town, replace(rule, destination=replace(rule.destination, mode="observe")))
    assert town.live()

    assert (sent(town), alerts(town)) == (0, [])


def test_those_that_wait_for_a_dead_letter_leave_the_others_of_a_backfill_their_room(town: Town) -> None:
    town.apply_max = 4
    town.district = idp_first(town.district)
    ids = [f"{n:02}" for n in range(12)]
    town.fars["idp"].hates = frozenset([f"student/{id_}" for id_ in ids[:-1]])
    say(town, *[event(id_, at_ms=START_MS, **ADA) for id_ in ids])
    assert town.live()
    assert sent(town) == 1

    async def backfill(pipeline: Pipeline) -> None:
        [start] = [each for each in commands(pipeline, town.loop.now_ms) if each.what == "backfill.start"]
        await start.answer("ada", b'{"system": "lms", "why": "once more"}')

    town.live(until_quiet=False, stop_after_s=600.0, doing=backfill)

    assert town.disk.rows("index.sqlite", "SELECT put FROM job") == [(12,)]
