"""`delete_after:`: what is switched off at a destination is deleted there when its time has come."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.world import Town

from bus.messages import AuditRecord, Event, Op, Outcome, Step
from router.core.delivery import LEFT
from router.delivery.leaving import SwitchedOff

DAY_S = 86_400.0
ADA = {"name": "Ada", "grade": "9"}


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        idp = town.district.systems["idp"]
        assert idp.destination
        entities = {n: replace(r, delete_after_s=60 * DAY_S) for n, r in idp.destination.entities.items()}
        idp = replace(idp, destination=replace(idp.destination, entities=entities))
        town.district = replace(town.district, systems={**town.district.systems, "idp": idp})
        yield town
        assert not [each for far in town.fars.values() for each in far.violations]


def student(at: int, op: Op = Op.UPDATE, **fields: str) -> Event:
    return event("1", op=op, at_ms=START_MS + at, **({} if op is Op.DELETE else {**ADA, **fields}))


def lives(town: Town, days: float) -> None:
    """The router is down for most of that time: it goes on all the same."""
    town.live(until_quiet=False, stop_after_s=100)
    town.loop.pass_time(days * DAY_S)
    town.live(until_quiet=False, stop_after_s=100)


def switched_off(town: Town) -> list[tuple[int]]:
    return town.disk.rows("index.sqlite", "SELECT since_ms FROM switched_off")


@pytest.mark.parametrize("gone", [student(1, op=Op.DELETE), student(1, grade="12")])
def test_what_is_switched_off_is_deleted_when_its_time_has_come(town: Town, gone: Event) -> None:
    say(town, student(0))
    assert town.live()
    say(town, gone)
    lives(town, 59)

    assert not town.fars["idp"].records["student/1"].active
    lives(town, 2)
    assert "student/1" not in town.fars["idp"].records
    assert not switched_off(town)


def test_what_comes_back_in_time_stays(town: Town) -> None:
    say(town, student(0))
    assert town.live()
    say(town, student(1, op=Op.DELETE))
    assert town.live()
    say(town, student(2))
    lives(town, 70)

    assert town.fars["idp"].records["student/1"].active
    assert not switched_off(town)


def test_what_refuses_to_be_deleted_is_a_dead_letter_once(town: Town) -> None:
    say(town, student(0))
    assert town.live()
    say(town, student(1, op=Op.DELETE))
    assert town.live()
    town.fars["idp"].hates = frozenset({"student/1"})
    lives(town, 61)

    assert len(town.server.streams["DEAD"].history) == 1


# -- after the index was lost


def ended(
    at_ms: int, *, hash_: str = "", reason: str = "", outcome: Outcome = Outcome.DELIVERED
) -> AuditRecord:
    return AuditRecord(
        str(at_ms),
        Step.DELIVERY,
        outcome,
        at_ms,
        destination="idp",
        entity="student",
        key="student/1",
        hash=hash_,
        reason=reason,
    )


@pytest.mark.parametrize(
    ("records", "since_ms"),
    [
        ([ended(1, hash_="a"), ended(2)], 2),
        ([ended(1, hash_="a"), ended(2), ended(3, outcome=Outcome.UNCHANGED)], 2),
        ([ended(1, hash_="a"), ended(2), ended(3, outcome=Outcome.FILTERED)], 2),
        ([ended(1, hash_="a"), ended(2), ended(3, hash_="b")], None),
        ([ended(1, hash_="a"), ended(2), ended(3, reason=LEFT)], None),
        ([ended(1, outcome=Outcome.FILTERED)], None),
        ([ended(5), ended(3, hash_="a")], 5),
    ],
)
def test_the_audit_says_since_when_it_is_switched_off(
    town: Town, records: list[AuditRecord], since_ms: int | None
) -> None:
    idp = town.district.systems["idp"].destination
    assert idp
    off = SwitchedOff({"idp": idp.entities})
    off.noted(records)

    assert off.rows == ([("idp", "student/1", since_ms)] if since_ms else [])
