"""A date of an owner is midnight where the district is: in nights in which clocks change, on a leap day."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bus.messages import Event, Op, Outcome
from router.config.authority import OwnerPeriod, periods
from router.core.authority import next_instant, owners_at
from router.core.merge import merge
from router.core.rules import EntityRule, FieldRule, Type

ZONE = ZoneInfo("America/New_York")
HOUR_MS = 3_600_000


def dated(*days: str) -> FieldRule:
    """A field of sis; from each of these days on the other one's, idp's first."""
    firsts = [OwnerPeriod(system=("sis",), until=days[0])]
    later = [
        OwnerPeriod(system=(("idp", "sis")[n % 2],), **{"from": day}, until=until)
        for n, (day, until) in enumerate(zip(days, (*days[1:], ""), strict=True))
    ]
    return FieldRule(name="badge", type=Type.TEXT, owner="", owners=periods([*firsts, *later], ZONE))


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("day", "midnight"),
    [
        ("2027-03-14", "2027-03-14T05:00"),  # clocks go forward two hours later
        ("2027-03-15", "2027-03-15T04:00"),
        ("2026-11-01", "2026-11-01T04:00"),  # clocks go back two hours later
        ("2026-11-02", "2026-11-02T05:00"),
        ("2028-02-29", "2028-02-29T05:00"),
        ("2028-03-01", "2028-03-01T05:00"),
    ],
)
def test_an_owner_changes_at_midnight_of_the_district(day: str, midnight: str) -> None:
    rule, at_ms = dated(day), utc_ms(midnight)
    entity = EntityRule(name="student", owner="sis", fields={"badge": rule})

    assert owners_at(rule, at_ms - 1) == ("sis",)
    assert owners_at(rule, at_ms) == ("idp",)
    assert next_instant(entity, at_ms - 1) == at_ms
    assert next_instant(entity, at_ms) is None


@pytest.mark.parametrize(("first", "hours"), [("2027-03-14", 23), ("2026-11-01", 25), ("2028-02-29", 24)])
def test_a_day_of_an_owner_is_as_long_as_the_day_is(first: str, hours: int) -> None:
    day = datetime.fromisoformat(first)
    rule = dated(first, day.replace(day=day.day + 1).date().isoformat() if day.day < 29 else "2028-03-01")
    begin_ms = int(day.replace(tzinfo=ZONE).timestamp() * 1000)

    assert [owners_at(rule, begin_ms + at) for at in (-1, 0)] == [("sis",), ("idp",)]
    end_ms = begin_ms + hours * HOUR_MS
    assert [owners_at(rule, end_ms + at) for at in (-1, 0)] == [("idp",), ("sis",)]


def test_edits_on_both_sides_of_the_date_are_each_heard_by_who_owned_it_then() -> None:
    rule, at_ms = dated("2027-03-14"), utc_ms("2027-03-14T05:00")
    name = FieldRule(name="name", type=Type.TEXT, owner="sis")
    rules = EntityRule(name="student", owner="sis", fields={"name": name, "badge": rule})
    record = None
    outcomes = []
    said = [
        ("sis", at_ms - 3 * HOUR_MS, "0"),
        ("idp", at_ms - 2 * HOUR_MS, "0"),
        ("idp", at_ms - HOUR_MS, "too soon"),
        ("sis", at_ms - 1, "in time"),
        ("sis", at_ms, "too late"),
        ("idp", at_ms + HOUR_MS, "now"),
    ]
    for seq, (system, ms, badge) in enumerate(said, 1):
        fields = {"name": "Ada", "badge": badge}
        event = Event(str(seq), system, "student", Op.UPDATE, "7", fields, True, ms)
        decision = merge(record, event, "student/7", rules, seq)
        record = decision.record
        outcomes.append(decision.outcome)

    assert outcomes[2:5] == [Outcome.REFUSED, Outcome.CONFLICT, Outcome.REFUSED]
    assert record is not None and record.values["badge"] == "now"
