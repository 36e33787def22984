"""`after:`: a record that waits until other systems have it, and what wakes it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import empty_town, event, say, told
from simulation.clock import START_MS
from simulation.invariants import broken
from simulation.world import Town

from bus.messages import Event, Op, Outcome
from router.core.rules import District
from router.services.status import status_of

ADA = {"name": "Ada", "grade": "9"}


def after_idp(district: District) -> District:
    """The lms gets a student when the idp has it."""
    lms = district.systems["lms"]
    assert lms.destination
    entities = dict(lms.destination.entities)
    entities["student"] = replace(entities["student"], after=("idp",))
    lms = replace(lms, destination=replace(lms.destination, entities=entities))
    return replace(district, systems={**district.systems, "lms": lms})


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.district = after_idp(town.district)
        town.loop.pass_time(3600)
        yield town
        assert not [each for far in town.fars.values() for each in far.violations]


def student(id_: str = "1", at: int = 0, op: Op = Op.UPDATE, **fields: str) -> Event:
    return event(id_, op=op, at_ms=START_MS + at, **({} if op is Op.DELETE else {**ADA, **fields}))


def waits(town: Town, destination: str = "lms") -> list[tuple[str, str]]:
    query = "SELECT awaits, reason FROM work WHERE destination = ? AND awaits <> ''"
    return [(str(a), str(b)) for a, b in town.disk.rows("index.sqlite", query, destination)]


def down(town: Town, name: str, for_s: float) -> None:
    town.fars[name].down_until_s = town.loop.time() + for_s


def test_a_record_waits_until_the_system_before_has_it(town: Town) -> None:
    down(town, "idp", 5_000)
    say(town, *[student(str(n)) for n in range(3)])
    town.live(until_quiet=False, stop_after_s=1_000)

    assert not town.fars["lms"].records
    assert waits(town) == [("idp", "waits for idp: it is not there yet")] * 3
    assert town.live()
    assert set(town.fars["lms"].records) == {"student/0", "student/1", "student/2"}
    assert broken(town, by_script=False) == []


def test_what_waits_is_told_with_its_number_and_since_when(town: Town) -> None:
    found = []

    down(town, "idp", 5_000)
    say(town, *[student(str(n)) for n in range(3)])
    began_ms = town.loop.now_ms()
    town.loop.call_later(1_000, lambda: found.append(status_of(town.pipeline, 0)["destinations"]["lms"]))  # type: ignore[arg-type]

    assert town.live()
    [said] = found
    assert said["waits_for"]["idp"]["records"] == said["waiting"] == 3
    assert began_ms <= said["waits_for"]["idp"]["since_ms"] < began_ms + 60_000


def test_a_record_that_the_system_before_does_not_get_does_not_wait_for_it(town: Town) -> None:
    say(town, student(grade="12"))

    assert town.live()
    assert told(town, "idp/student/1@1.1").outcome is Outcome.FILTERED
    assert set(town.fars["lms"].records) == {"student/1"}


def test_a_record_that_failed_before_waits_with_the_reason_until_that_is_mended(town: Town) -> None:
    town.fars["idp"].hates = frozenset({"student/1"})
    say(town, student())
    town.live(until_quiet=False, stop_after_s=1_000)

    assert waits(town) == [("idp", "waits for idp: it failed there (422)")]
    town.fars["idp"].hates = frozenset()
    say(town, student(at=1, name="Bea"))
    assert town.live()
    assert town.fars["lms"].records["student/1"].fields["name"] == "Bea"
    assert broken(town, by_script=False) == []


def test_a_record_that_is_gone_before_it_went_waits_no_more(town: Town) -> None:
    down(town, "idp", 1_000_000)
    say(town, student())
    town.live(until_quiet=False, stop_after_s=1_000)
    say(town, student(at=1, op=Op.DELETE))
    town.live(until_quiet=False, stop_after_s=1_000)

    assert not waits(town)
    assert not town.disk.rows("index.sqlite", "SELECT 1 FROM work WHERE destination = 'lms'")
    assert not town.fars["lms"].records


def test_a_removal_does_not_wait(town: Town) -> None:
    say(town, student())
    assert town.live()
    down(town, "idp", 1_000_000)
    say(town, student(at=1, op=Op.DELETE))
    town.live(until_quiet=False, stop_after_s=1_000)

    assert not town.fars["lms"].records


def test_a_restart_looks_at_all_that_waits_once_more(town: Town) -> None:
    down(town, "idp", 1_000_000)
    say(town, student())
    town.live(until_quiet=False, stop_after_s=1_000)
    assert waits(town)
    lms = town.district.systems["lms"]
    assert lms.destination
    entities = {name: replace(rule, after=()) for name, rule in lms.destination.entities.items()}
    lms = replace(lms, destination=replace(lms.destination, entities=entities))
    town.district = replace(town.district, systems={**town.district.systems, "lms": lms})
    town.live(until_quiet=False, stop_after_s=1_000)

    assert set(town.fars["lms"].records) == {"student/1"}


@pytest.mark.parametrize("turns", range(20, 420, 10))
def test_no_crash_between_the_two_systems_leaves_a_record_waiting(turns: int) -> None:
    with empty_town() as town:
        town.district = after_idp(town.district)
        say(town, *[student(str(n)) for n in range(5)])
        town.live(turns=turns)

        assert town.live()
        assert set(town.fars["lms"].records) == {f"student/{n}" for n in range(5)}
        assert broken(town, by_script=False) == []
