"""Which records refer to which, as the index has it after each change."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.world import Town

from bus.messages import Event, Op
from router.referrers import followed


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def student(id_: str) -> Event:
    return event(id_, name="Ada", grade="9")


def enrollment(student: str, at: int = 0, op: Op = Op.UPDATE) -> Event:
    also = {} if op is Op.DELETE else {"student": student, "class": "", "role": "student"}
    return event("7", entity="enrollment", op=op, at_ms=START_MS + at, **also)


def referrers(town: Town) -> list[tuple[str, str, int]]:
    sql = """
        SELECT t.key, r.key, past FROM referrer f
        JOIN record t ON t.id = f.target JOIN record r ON r.id = f.record ORDER BY t.key
    """
    return [(str(target), str(key), int(past)) for target, key, past in town.disk.rows("index.sqlite", sql)]


def test_only_references_that_a_destination_cannot_be_without_are_followed(town: Town) -> None:
    assert followed(town.district) == {"enrollment": ("student",)}


def test_a_reference_that_is_taken_back_stays_as_past(town: Town) -> None:
    say(town, student("1"), student("2"), enrollment("1"))
    assert town.live()
    assert referrers(town) == [("student/1", "enrollment/7", 0)]
    say(town, enrollment("2", at=1))
    assert town.live()
    assert referrers(town) == [("student/1", "enrollment/7", 1), ("student/2", "enrollment/7", 0)]

    say(town, enrollment("2", at=2, op=Op.DELETE))
    assert town.live()
    assert referrers(town) == [("student/1", "enrollment/7", 1), ("student/2", "enrollment/7", 1)]


def test_a_reference_that_heals_is_known_when_it_does(town: Town) -> None:
    say(town, enrollment("1"))
    assert town.live()
    assert referrers(town) == []
    say(town, student("1"))

    assert town.live()
    assert referrers(town) == [("student/1", "enrollment/7", 0)]


def test_a_reference_that_is_required_no_more_is_past_after_a_start(town: Town) -> None:
    say(town, student("1"), enrollment("1"))
    assert town.live()
    rule = town.district.entities["enrollment"]
    fields = {name: replace(field, required=False) for name, field in rule.fields.items()}
    entities = {**town.district.entities, "enrollment": replace(rule, fields=fields)}
    town.district = replace(town.district, entities=entities)

    assert followed(town.district) == {}
    assert town.live()
    assert referrers(town) == [("student/1", "enrollment/7", 1)]
