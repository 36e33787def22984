"""A term ends at local midnight, and with it who decides: in nights in which clocks change, on a leap day,
whether the router is up or off.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from simulation.by_hand import empty_town, event, records, say, told
from simulation.clock import START_MS
from simulation.invariants import audited
from simulation.world import Town

from bus.messages import Op, Outcome
from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    EntityRule,
    FieldRule,
    Period,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
    Type,
)

ZONE = ZoneInfo("America/Chicago")
HOUR_MS = 3_600_000
TERM = EntityRule(
    name="term",
    owner="sis",
    fields={n: FieldRule(name=n, type=Type.DATE, owner="sis") for n in ("startDate", "endDate")},
)
ENROLLMENT = EntityRule(
    name="enrollment",
    owner="sis",
    fields={
        "term": FieldRule(name="term", type=Type.REFERENCE, owner="sis", to=("term",)),
        "state": FieldRule(
            name="state",
            type=Type.TEXT,
            owner="",
            owners=(Period(systems=("idp",), during="term"), Period(systems=("sis",))),
        ),
    },
    two_way=frozenset({"idp"}),
)
STATE = (Term(field="state", text="state", column="state"),)
IDP = SystemRule(
    name="idp",
    title="",
    file="",
    source=SourceRule(
        adapter="simulated",
        settings={},
        entities={"enrollment": SourceEntity(entity="enrollment", table="e", id_field="id", terms=STATE)},
    ),
    destination=DestinationRule(
        adapter="simulated",
        settings={},
        entities={
            "enrollment": DestinationEntity(entity="enrollment", table="e", id_field="id", terms=STATE)
        },
    ),
)


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.district = replace(
            town.district,
            timezone=ZONE.key,
            entities={"term": TERM, "enrollment": ENROLLMENT},
            systems={"sis": SystemRule(name="sis", title="", file="", source=None), "idp": IDP},
        )
        town.scripts = {"idp": []}
        town.fars = {"idp": town.fars["lms"]}
        yield town


def now_ms(town: Town) -> int:
    return START_MS + int(town.loop.time() * 1000)


def until(town: Town, at_ms: int) -> None:
    """Nobody is there until then."""
    town.loop.pass_time((at_ms - now_ms(town)) / 1000)


def says(town: Town, state: str) -> Outcome:
    """What becomes of what a teacher says now."""
    number = len(audited(town))
    at_ms = now_ms(town)
    say(town, event("1", system="idp", entity="enrollment", at_ms=at_ms, state=state))
    town.loop.pass_time(1)
    town.live()
    found = [each[0] for each in audited(town).values() if each[0].observed_at_ms == at_ms]
    assert found and len(audited(town)) > number
    return found[0].outcome


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "off"])
@pytest.mark.parametrize(
    ("last_day", "hours", "midnight"),
    [
        ("2027-03-14", 23, "2027-03-15T05:00+00:00"),
        ("2027-11-07", 25, "2027-11-08T06:00+00:00"),
        ("2028-02-29", 24, "2028-03-01T06:00+00:00"),
    ],
    ids=["clocks go forward", "clocks go back", "leap day"],
)
def test_the_teacher_decides_to_the_last_minute_of_the_terms_last_day_and_then_no_more(
    town: Town, last_day: str, hours: int, midnight: str, is_up: bool
) -> None:
    end_ms = int(datetime.fromisoformat(midnight).timestamp() * 1000)
    begin_ms = int(datetime.fromisoformat(f"{last_day}T00:00").replace(tzinfo=ZONE).timestamp() * 1000)
    assert end_ms - begin_ms == hours * HOUR_MS
    say(
        town,
        event("1", entity="term", startDate="2026-08-20", endDate=last_day),
        event("1", entity="enrollment", term="1", state="active"),
        event("1", system="idp", entity="enrollment", state="active"),
    )
    town.loop.pass_time(60)
    assert town.live()

    until(town, end_ms - 60_000)
    last_minute = says(town, "withdrawn")
    if is_up:
        town.live(until_quiet=False, stop_after_s=120)
    else:
        until(town, end_ms + 7 * HOUR_MS)
        town.live(until_quiet=False, stop_after_s=120)
    after = says(town, "active again")

    assert (last_minute, after) == (Outcome.ACCEPTED, Outcome.REFUSED)
    assert records(town)["enrollment/1"].values["state"] == "withdrawn"
    dates = [each[0].observed_at_ms for each in audited(town).values() if each[0].op == Op.DATE]
    assert dates == [end_ms]
    assert told(town, "event/1").outcome is Outcome.ACCEPTED
