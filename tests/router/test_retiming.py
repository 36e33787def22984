"""A term that is moved: who has authority follows at once, and so do the dates to come."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from simulation.by_hand import empty_town, say, told
from simulation.clock import START_MS
from simulation.world import Town
from two_ids import HOUR_MS, lived, of, other

from bus.messages import Event, Outcome
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

DAY_S = 24 * 3600
TEXT = {name: FieldRule(name=name, type=Type.TEXT, owner="sis") for name in ("startDate", "endDate", "title")}
STATE = FieldRule(
    name="state",
    type=Type.TEXT,
    owner="",
    owners=(Period(systems=("lms",), during="class.terms"), Period(systems=("sis",))),
)
ENTITIES = {
    "term": EntityRule(name="term", owner="sis", fields=TEXT),
    "class": EntityRule(
        name="class",
        owner="sis",
        fields={"terms": FieldRule(name="terms", type=Type.REFERENCES, owner="sis", to=("term",))},
    ),
    "enrollment": EntityRule(
        name="enrollment",
        owner="sis",
        fields={
            "class": FieldRule(name="class", type=Type.REFERENCE, owner="sis", to=("class",)),
            "state": STATE,
        },
        two_way=frozenset({"lms"}),
    ),
}


def both_ways(name: str, *entities: str) -> SystemRule:
    sources, destinations = {}, {}
    for entity in entities:
        terms = tuple(Term(field=each, text=each, column=each) for each in ENTITIES[entity].fields)
        sources[entity] = SourceEntity(entity=entity, table=entity, id_field="id", terms=terms)
        destinations[entity] = DestinationEntity(entity=entity, table=entity, id_field="id", terms=terms)
    source = SourceRule(adapter="simulated", settings={}, entities=sources)
    destination = DestinationRule(adapter="simulated", settings={}, entities=destinations)
    if name == "sis":
        return SystemRule(name=name, title="", file="", source=source)
    return SystemRule(name=name, title="", file="", source=source, destination=destination)


@pytest.fixture
def town() -> Iterator[Town]:
    """Autumn is over for a month when it all begins; the state of the enrollment is the SIS's."""
    with empty_town() as town:
        systems = {"sis": both_ways("sis", *ENTITIES), "lms": both_ways("lms", "enrollment")}
        town.district = replace(town.district, entities=ENTITIES, systems=systems, timezone="UTC")
        town.scripts = {"sis": [], "lms": []}
        town.fars = {"lms": town.fars["lms"]}
        town.loop.pass_time(60)
        lived(
            town,
            term(0, "2020-08-01", "2020-12-20"),
            other("class", "c", terms=("t",)),
            other("enrollment", "e", **{"class": "c"}, state="active"),
            other("enrollment", "f", **{"class": "none"}, state="active"),
        )
        lived(town, lms(1, state="active"))
        yield town


def term(hours: int, begins: str, ends: str) -> Event:
    return other("term", "t", hours=hours, startDate=begins, endDate=ends, title="Autumn")


def lms(hours: int, **fields: str) -> Event:
    said = other("enrollment", "e", hours=hours, **fields)
    return said._replace(system="lms", id=f"lms.{hours}", full=False)


def instants(town: Town) -> dict[str, int]:
    return dict(town.disk.rows("index.sqlite", "SELECT key, at_ms FROM timetable"))


def lives(town: Town, seconds: float) -> None:
    town.live(until_quiet=False, stop_after_s=seconds)


def today(town: Town, days: int = 0) -> str:
    return (datetime.fromtimestamp(town.loop.now_ms() / 1000, UTC) + timedelta(days=days)).date().isoformat()


def test_a_term_that_is_moved_to_now_gives_its_owner_authority_at_once(town: Town) -> None:
    lived(town, lms(2, state="withdrawn"))
    assert told(town, "event/6").outcome is Outcome.REFUSED
    lived(town, term(3, today(town, -3), today(town, 9)))
    lives(town, 120)

    assert of(town, "enrollment/e").values["state"] == "withdrawn"
    assert of(town, "enrollment/f").values["state"] == "active"
    assert START_MS + 8 * 24 * HOUR_MS < instants(town)["enrollment/e"] < START_MS + 11 * 24 * HOUR_MS


def test_a_term_that_is_moved_to_later_comes_at_its_new_date(town: Town) -> None:
    lived(town, lms(2, state="withdrawn"))
    say(town, term(3, today(town, 5), today(town, 9)))
    lives(town, 120)
    assert of(town, "enrollment/e").values["state"] == "active"
    before = instants(town)["enrollment/e"]
    assert before > START_MS + 3 * 24 * HOUR_MS

    lives(town, 6 * DAY_S)
    assert of(town, "enrollment/e").values["state"] == "withdrawn"
    assert instants(town)["enrollment/e"] > before


def test_a_class_that_goes_to_another_term_takes_its_enrollments_with_it(town: Town) -> None:
    lived(town, lms(2, state="withdrawn"))
    now = other("term", "u", hours=3, startDate=today(town, -3), endDate=today(town, 9), title="Now")
    lived(town, now, other("class", "c", hours=3, terms=("u",)))
    lives(town, 120)

    assert of(town, "enrollment/e").values["state"] == "withdrawn"


def test_another_title_moves_nothing(town: Town) -> None:
    same = other("term", "t", hours=3, startDate="2020-08-01", endDate="2020-12-20", title="Fall")
    lived(town, same)
    events = town.server.streams["EVENTS"].last_seq
    lives(town, 120)

    assert town.server.streams["EVENTS"].last_seq == events


@pytest.mark.parametrize(
    "step", ["commit index timetable", "committed index timetable", "commit index record"]
)
def test_a_crash_while_dates_move_leaves_none_behind(town: Town, step: str) -> None:
    lived(town, lms(2, state="withdrawn"))
    say(town, term(3, today(town, -3), today(town, 9)))
    assert not town.live(lambda name: name == step, until_quiet=False, stop_after_s=120)
    town.loop.pass_time(3600)
    lives(town, 120)

    assert of(town, "enrollment/e").values["state"] == "withdrawn"
    assert town.disk.rows("index.sqlite", "SELECT * FROM moved") == []


def test_a_crash_before_a_dated_record_is_committed_forgets_no_date(town: Town) -> None:
    said = other("term", "u", hours=3, startDate=today(town, 3), endDate=today(town, 9), title="Next")
    lived(town, said, other("class", "d", hours=3, terms=("u",)))
    say(town, other("enrollment", "g", hours=4, **{"class": "d"}, state="active"))
    town.live(lambda name: name == "commit index record", until_quiet=False, stop_after_s=120)
    town.loop.pass_time(3600)
    lives(town, 120)

    assert "enrollment/g" in instants(town)
