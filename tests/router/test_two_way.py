"""Two-way systems through the daemon's own parts: refused, corrected, conflicting, unmatched, dated."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from simulation.by_hand import alerts, empty_town, event, records, say, told
from simulation.clock import START_MS
from simulation.invariants import audited
from simulation.systems import Far
from simulation.world import Town

from bus.adapter import Delivery, Receipt
from bus.codec import decode_conflict
from bus.messages import Event, Op, Outcome, Step
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

HOUR_MS = 3_600_000
TURN_MS = START_MS + 48 * HOUR_MS
"""When the badge goes from hr to idp."""


def field(name: str, owner: str, **also: object) -> FieldRule:
    return FieldRule(name=name, type=Type.TEXT, owner=owner, **also)  # type: ignore[arg-type]


STUDENT = EntityRule(
    name="student",
    owner="sis",
    fields={
        "name": field("name", "sis"),
        "email": field("email", "idp"),
        "nick": field("nick", "", owners=(Period(systems=("idp", "sis")),), ties="ask"),
        "badge": field(
            "badge", "", owners=(Period(systems=("sis",), until_ms=TURN_MS), Period(systems=("idp",)))
        ),
    },
    match=(("name",),),
    two_way=frozenset({"sis", "idp"}),
)
FIELDS = ("name", "email", "nick", "badge")


def both_ways(name: str, **also: object) -> SystemRule:
    terms = tuple(Term(field=each, text=each, column=each) for each in FIELDS)
    source = SourceEntity(entity="student", table="student", id_field="id", terms=terms)
    destination = DestinationEntity(entity="student", table="student", id_field="id", terms=terms)
    return SystemRule(
        name=name,
        title="",
        file="",
        source=SourceRule(adapter="simulated", settings={}, entities={"student": source}),
        destination=DestinationRule(
            adapter="simulated",
            settings={},
            entities={"student": destination},
            **also,  # type: ignore[arg-type]
        ),
    )


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.district = replace(
            town.district,
            entities={"student": STUDENT},
            systems={"sis": both_ways("sis"), "idp": both_ways("idp")},
        )
        town.scripts = {"sis": [], "idp": []}
        town.fars = {"sis": town.fars["lms"], "idp": town.fars["idp"]}
        town.loop.pass_time(60)
        yield town


class Echoing(Far):
    """The identity provider, which says what it is told at once; just then the sis has other news."""

    def __init__(self, town: Town) -> None:
        super().__init__("idp", compares=False, gives_ids=True, records=town.fars["idp"].records)
        self._town = town

    def write(self, delivery: Delivery) -> Receipt:
        receipt = super().write(delivery)
        if delivery.fields["name"] == "Adele":
            at_ms = START_MS + int(self._town.loop.time() * 1000)
            told = {name: cast(str | None, value) for name, value in delivery.fields.items()}
            say(self._town, event("1", at_ms=at_ms, name="Adelaide"), idp(after_ms=at_ms - START_MS, **told))
        return receipt


def sis(local_id: str = "1", *, after_ms: int = 0, **fields: str | None) -> Event:
    return event(local_id, system="sis", at_ms=START_MS + after_ms, **fields)


def idp(local_id: str = "idp-1", *, after_ms: int = 0, **fields: str | None) -> Event:
    return event(local_id, system="idp", at_ms=START_MS + after_ms, **fields)


def lived(town: Town, *events: Event) -> None:
    """Say them, and see them through: deliveries included."""
    say(town, *events)
    town.loop.pass_time(HOUR_MS / 1000)
    assert town.live()


def of(town: Town, system: str, key: str = "student/1") -> dict[str, object]:
    """What a system has of a record."""
    return dict(town.fars[system].records[key].fields)


def conflicts(town: Town) -> list[tuple[str, ...]]:
    """Every conflict on AUDIT: its fields, sides, rule and winner."""
    found = []
    for stored in town.server.streams["AUDIT"].history:
        if stored.subject.startswith("audit.conflict."):
            each, _ = decode_conflict(stored.body)
            found.append((",".join(each.fields), *sorted((each.system, each.other)), each.rule, each.winner))
    return found


def test_an_id_that_a_destination_gave_is_known_when_it_speaks(town: Town) -> None:
    lived(town, sis(name="Ada", email=None))
    lived(town, idp(name="Ada", email="ada@x", after_ms=HOUR_MS))

    assert records(town)["student/1"].values["email"] == "ada@x"
    assert records(town)["student/1"].links == {"sis": "1", "idp": "idp-1"}
    assert of(town, "sis")["email"] == "ada@x"


def test_a_system_is_not_told_what_it_said_first(town: Town) -> None:
    lived(town, sis(name="Ada", email=None, nick=None, badge=None))
    lived(town, idp(name="Ada", email=None, nick=None, badge=None, after_ms=HOUR_MS))
    before = dict(town.fars["idp"].sent)
    lived(town, idp(name="Ada", email="ada@x", nick=None, badge=None, after_ms=3 * HOUR_MS))

    assert town.fars["idp"].sent == before
    assert of(town, "sis")["email"] == "ada@x"


def test_a_refused_write_is_set_right_and_told(town: Town) -> None:
    lived(town, sis(name="Ada"))
    lived(town, idp(name="Ada", after_ms=HOUR_MS))
    town.fars["idp"].records["student/1"].fields = {**of(town, "idp"), "name": "Adele"}
    lived(town, idp(name="Adele", after_ms=2 * HOUR_MS))

    assert told(town, "event/3").outcome is Outcome.REFUSED
    assert records(town)["student/1"].values["name"] == "Ada"
    assert of(town, "idp")["name"] == "Ada"
    puts = [each[0] for each in audited(town).values() if each[0].step is Step.PUT]
    assert [put.outcome for put in puts] == [Outcome.DELIVERED]


def test_a_write_that_comes_back_again_and_again_is_set_right_so_often_only(town: Town) -> None:
    lived(town, sis(name="Ada"))
    lived(town, idp(name="Ada", after_ms=HOUR_MS))
    lived(town, *[idp(name=f"Adele {turn}", after_ms=2 * HOUR_MS + turn) for turn in range(8)])

    assert conflicts(town) == []
    assert alerts(town).count("restores-stopped") == 1


def test_an_edit_on_both_sides_is_one_conflict_and_the_owners_value_reaches_all(town: Town) -> None:
    lived(town, sis(name="Ada", email=None))
    lived(town, idp(name="Ada", email="ada@x", after_ms=HOUR_MS))
    lived(town, sis(name="Ada", email="ada@x", after_ms=3 * HOUR_MS))
    say(town, idp(name="Ada", email="new@x", after_ms=5 * HOUR_MS))
    say(town, sis(name="Ada", email="clerk@x", after_ms=5 * HOUR_MS))
    town.loop.pass_time(6 * HOUR_MS / 1000)
    assert town.live()

    assert conflicts(town) == [("email", "idp", "sis", "owner", "idp")]
    assert alerts(town).count("conflict") == 1
    assert of(town, "sis")["email"] == "new@x"
    assert records(town)["student/1"].values["email"] == "new@x"


def test_a_person_is_asked_where_the_rule_says_so(town: Town) -> None:
    lived(town, sis(name="Ada", nick="A"))
    lived(town, idp(name="Ada", nick="A", after_ms=HOUR_MS))
    say(town, idp(name="Ada", nick="Addie", after_ms=3 * HOUR_MS))
    say(town, sis(name="Ada", nick="Ad", after_ms=3 * HOUR_MS))
    town.loop.pass_time(4 * HOUR_MS / 1000)
    assert town.live()

    assert conflicts(town) == [("nick", "idp", "sis", "ask", "")]
    assert records(town)["student/1"].asked == {"nick": ("idp", "sis")}
    assert town.disk.rows("index.sqlite", "SELECT state FROM conflict") == [("asked",)]


def test_a_pick_that_a_crash_cut_off_is_no_question_any_more(town: Town) -> None:
    lived(town, sis(name="Ada", nick="A"))
    lived(town, idp(name="Ada", nick="A", after_ms=HOUR_MS))
    say(town, idp(name="Ada", nick="Addie", after_ms=3 * HOUR_MS))
    say(town, sis(name="Ada", nick="Ad", after_ms=3 * HOUR_MS))
    town.loop.pass_time(4 * HOUR_MS / 1000)
    assert town.live()
    rev = records(town)["student/1"].rev
    act = {"key": "student/1", "looked_at": rev, "who": "kim", "why": "asked"}
    say(
        town,
        Event("p", "operator", "student", Op.PICK, "", {"nick": "Ad"}, False, town.loop.now_ms(), act=act),
    )
    town.live(lambda name: name == "commit index record")
    town.loop.pass_time(3600)
    assert town.live()

    assert records(town)["student/1"].values["nick"] == "Ad"
    assert town.disk.rows("index.sqlite", "SELECT state FROM conflict") == [("picked",)]


def test_what_matches_no_record_waits_until_one_comes(town: Town) -> None:
    lived(town, idp("acc-7", name="Bea", email="bea@x"))
    assert told(town, "event/1").outcome is Outcome.UNMATCHED
    assert alerts(town) == ["unmatched"]
    lived(town, sis("2", name="Bea", email=None, after_ms=HOUR_MS))

    assert records(town)["student/2"].links["idp"] == "acc-7"
    assert records(town)["student/2"].values["email"] == "bea@x"
    assert town.disk.rows("index.sqlite", "SELECT * FROM unmatched") == []


def test_what_matches_several_records_waits_for_a_person(town: Town) -> None:
    lived(town, sis("1", name="Bea"), sis("2", name="Bea"))
    lived(town, idp("acc-7", name="Bea", email="bea@x", after_ms=HOUR_MS))

    assert told(town, "event/3").outcome is Outcome.UNMATCHED
    assert told(town, "event/3").reason == "2 records match"
    act = {
        "system": "idp",
        "local_id": "acc-7",
        "key": "student/2",
        "looked_at": 1,
        "who": "kim",
        "why": "saw",
    }
    link = Event("x", "operator", "student", Op.LINK, "", {}, False, START_MS + 2 * HOUR_MS, act=act)
    lived(town, link)

    assert records(town)["student/2"].links["idp"] == "acc-7"
    assert records(town)["student/2"].values["email"] == "bea@x"
    assert told(town, "event/4").who == "kim"


def test_when_a_field_changes_its_owner_the_new_ones_open_claim_stands(town: Town) -> None:
    lived(town, sis(name="Ada", badge="1"))
    lived(town, idp(name="Ada", badge="1", after_ms=HOUR_MS))
    lived(town, idp(name="Ada", badge="2", after_ms=3 * HOUR_MS))
    assert told(town, "event/3").outcome is Outcome.REFUSED
    town.loop.pass_time((TURN_MS - START_MS) / 1000)
    assert town.live(until_quiet=False, stop_after_s=120)
    town.live()

    assert records(town)["student/1"].values["badge"] == "2"
    assert of(town, "sis")["badge"] == "2"


def test_a_student_who_comes_back_with_the_same_values_is_there_again(town: Town) -> None:
    lived(town, sis(name="Ada", email=None))
    lived(town, idp(name="Ada", after_ms=HOUR_MS))
    lived(town, event("1", system="sis", op=Op.DELETE, at_ms=START_MS + 2 * HOUR_MS))
    assert "student/1" not in town.fars["idp"].records
    lived(town, sis(name="Ada", email=None, after_ms=3 * HOUR_MS))

    assert of(town, "idp")["name"] == "Ada"


def test_what_was_only_compared_is_not_taken_for_given(town: Town) -> None:
    lived(town, sis(name="Ada", email=None, nick=None, badge=None))
    lived(town, sis(name="Bea", email=None, nick=None, badge=None, after_ms=HOUR_MS))
    sql = "SELECT given FROM ledger WHERE destination = 'sis' AND given IS NOT NULL"

    assert town.disk.rows("index.sqlite", sql) == []


def test_several_dates_that_come_due_while_it_is_off_are_applied_in_their_order(town: Town) -> None:
    back_ms = TURN_MS + 24 * HOUR_MS
    owners = (
        Period(systems=("sis",), until_ms=TURN_MS),
        Period(systems=("idp",), until_ms=back_ms),
        Period(systems=("sis",)),
    )
    rule = replace(STUDENT, fields={**STUDENT.fields, "badge": field("badge", "", owners=owners)})
    town.district = replace(town.district, entities={"student": rule})
    lived(town, sis(name="Ada", badge="1"))
    lived(town, idp(name="Ada", badge="1", after_ms=HOUR_MS))
    lived(town, idp(name="Ada", badge="2", after_ms=3 * HOUR_MS))
    town.loop.pass_time(10 * 24 * HOUR_MS / 1000)
    assert town.live(until_quiet=False, stop_after_s=120)
    town.live()
    dates = [each[0].observed_at_ms for each in audited(town).values() if each[0].op == Op.DATE]

    assert dates == sorted(dates) == [TURN_MS, back_ms]
    assert records(town)["student/1"].values["badge"] == "2"
    assert of(town, "sis")["badge"] == "2"


def test_20_what_was_edited_by_hand_since_it_was_told_is_a_conflict_and_not_overwritten(town: Town) -> None:
    lived(town, sis(name="Ada", nick="A"))
    lived(town, idp(name="Ada", nick="A", after_ms=HOUR_MS))
    town.fars["idp"].records["student/1"].fields = {**of(town, "idp"), "nick": "by hand"}
    lived(
        town,
        sis(name="Ada", nick="B", after_ms=3 * HOUR_MS - 1),
        idp(name="Ada", nick="by hand", after_ms=2 * HOUR_MS),
    )

    assert conflicts(town) == [("nick", "idp", "sis", "ask", "")]


def test_25_events_that_come_twice_or_in_another_order_make_the_same_record_and_no_conflict(
    town: Town,
) -> None:
    lived(town, sis(name="Ada"), sis(name="Bea", after_ms=2 * HOUR_MS))
    lived(town, sis(name="Ada"), sis(name="Bea", after_ms=2 * HOUR_MS), sis(name="Ada", after_ms=HOUR_MS))

    assert records(town)["student/1"].values["name"] == "Bea"
    assert conflicts(town) == []


def test_30_a_clock_in_the_future_makes_nothing_after_it_stale(town: Town) -> None:
    lived(town, sis(name="Ada", after_ms=400 * 24 * HOUR_MS))
    lived(town, sis(name="Bea", after_ms=3 * HOUR_MS))

    assert records(town)["student/1"].values["name"] == "Bea"


def test_who_repeats_what_it_is_told_before_it_has_answered_is_in_no_conflict_with_what_came_after(
    town: Town,
) -> None:
    lived(town, sis(name="Ada"))
    lived(town, idp(name="Ada", after_ms=HOUR_MS))
    town.fars["idp"] = Echoing(town)

    lived(town, sis(name="Adele", after_ms=2 * HOUR_MS))

    assert [told(town, f"event/{n}").outcome for n in (4, 5)] == [Outcome.ACCEPTED, Outcome.UNCHANGED]
    assert conflicts(town) == []
    assert of(town, "idp")["name"] == records(town)["student/1"].values["name"] == "Adelaide"
