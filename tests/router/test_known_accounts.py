"""What a two-way system has under ids of its own: known, waited for, edited, switched off, brought back."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, empty_town, event, outcomes, records, say
from simulation.clock import START_MS
from simulation.world import Town

from bus.codec import unpack
from bus.messages import Event, Op, Outcome
from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    EntityRule,
    FieldRule,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
    Type,
)

HOUR_MS = 3_600_000
NAMES = ("name", "email")
TERMS = tuple(Term(field=each, text=each, column=each) for each in NAMES)


def field(name: str, owner: str) -> FieldRule:
    return FieldRule(name=name, type=Type.TEXT, owner=owner)


STUDENT = EntityRule(
    name="student",
    owner="sis",
    fields={"name": field("name", "sis"), "email": field("email", "idp")},
    match=(("name",),),
    two_way=frozenset({"idp"}),
    hub_ids=frozenset({"idp"}),
)


def system(name: str, *, is_told: bool) -> SystemRule:
    said = SourceEntity(entity="student", table="student", id_field="id", terms=TERMS)
    told = DestinationEntity(
        entity="student", table="student", id_field="id", terms=TERMS, on_delete="deactivate"
    )
    destination = DestinationRule(adapter="simulated", settings={}, entities={"student": told})
    return SystemRule(
        name=name,
        title="",
        file="",
        source=SourceRule(adapter="simulated", settings={}, entities={"student": said}),
        destination=destination if is_told else None,
    )


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.district = replace(
            town.district,
            entities={"student": STUDENT},
            systems={"sis": system("sis", is_told=False), "idp": system("idp", is_told=True)},
        )
        town.scripts = {"sis": [], "idp": []}
        town.fars = {"idp": town.fars["idp"]}
        town.loop.pass_time(60)
        yield town


def sis(local_id: str = "1", *, hours: int = 0, op: Op = Op.UPDATE, **fields: str | None) -> Event:
    return event(local_id, system="sis", op=op, at_ms=START_MS + hours * HOUR_MS, **fields)


def idp(
    local_id: str, *, hours: int = 0, op: Op = Op.UPDATE, hub_id: str = "", **fields: str | None
) -> Event:
    said = event(local_id, system="idp", op=op, at_ms=START_MS + hours * HOUR_MS, **fields)
    return said._replace(hub_id=hub_id)


def by_hand(op: Op, hours: int, **act: object) -> Event:
    """What a person decides."""
    act |= {"system": "idp", "who": "kim", "why": "asked"}
    return Event(
        f"{op}{hours}", "operator", "student", op, "", {}, False, START_MS + hours * HOUR_MS, act=act
    )


def lived(town: Town, *events: Event) -> None:
    say(town, *events)
    town.loop.pass_time(HOUR_MS / 1000)
    assert town.live()


def links(town: Town, key: str = "student/1") -> dict[str, str]:
    return records(town)[key].links


def test_an_account_that_we_made_is_known_by_our_id_before_its_receipt_is(town: Town) -> None:
    lived(town, sis(name="Ada"), idp("u1", hub_id="1", name="Somebody", email="a@x"))

    assert links(town) == {"sis": "1", "idp": "u1"}
    assert records(town)["student/1"].values["email"] == "a@x"


def test_it_is_known_as_well_if_its_record_comes_later(town: Town) -> None:
    lived(town, idp("u1", hub_id="1", name="Somebody", email="a@x"))
    assert outcomes(town) == [Outcome.UNMATCHED]
    lived(town, sis(name="Ada"))

    assert links(town) == {"sis": "1", "idp": "u1"}


def test_a_second_account_with_our_id_waits_for_a_person(town: Town) -> None:
    lived(town, sis(name="Ada"), idp("u1", hub_id="1", name="Ada"))
    lived(town, idp("u2", hub_id="1", name="Eve", hours=1))

    assert links(town)["idp"] == "u1"
    assert outcomes(town)[-1] is Outcome.UNMATCHED


def test_our_id_of_a_record_that_is_gone_links_nothing(town: Town) -> None:
    lived(town, sis(name="Ada"), sis(op=Op.DELETE, hours=1))
    lived(town, idp("u1", hub_id="1", name="Eve", hours=2))

    assert "idp" not in links(town)


def test_nothing_is_made_where_something_there_may_be_it(town: Town) -> None:
    # At once: it waits, and may be either Ada.
    say(town, sis("1", name="Ada"), sis("2", name="Ada"), sis("3", name="Bob"), idp("u1", name="Ada"))
    town.loop.pass_time(HOUR_MS / 1000)
    town.live(until_quiet=False, stop_after_s=HOUR_MS / 1000)

    assert set(town.fars["idp"].records) == {"student/3"}
    lived(town, by_hand(Op.DISMISS, 2, local_id="u1"))
    assert set(town.fars["idp"].records) == {"student/1", "student/2", "student/3"}


def test_an_account_that_somebody_removed_is_made_again(town: Town) -> None:
    lived(town, sis(name="Ada"), idp("idp-1", hub_id="1", name="Ada", email="a@x"))
    lived(town, sis(name="Ada L.", hours=1))
    del town.fars["idp"].records["student/1"]
    lived(town, idp("idp-1", op=Op.DELETE, hours=2))

    assert dict(town.fars["idp"].records["student/1"].fields) == {"name": "Ada L.", "email": "a@x"}
    # And it is there again: what it says from now on is not sent back to it.
    lived(town, idp("idp-1", hub_id="1", name="Ada L.", email="a@x", hours=3))
    told = len(town.fars["idp"].told["student/1"])
    lived(town, idp("idp-1", hub_id="1", name="Ada L.", email="b@x", hours=4))
    assert records(town)["student/1"].values["email"] == "b@x"
    assert len(town.fars["idp"].told["student/1"]) == told


def test_an_earlier_id_that_goes_takes_nothing_with_it(town: Town) -> None:
    lived(town, sis(name="Ada"), idp("u1", hub_id="1", name="Ada", email="a@x"))
    looked_at = records(town)["student/1"].rev
    lived(town, by_hand(Op.LINK, 1, key="student/1", local_id="u2", looked_at=looked_at))
    rev = records(town)["student/1"].rev
    lived(town, idp("u2", op=Op.DELETE, hours=2))

    assert (rev, records(town)["student/1"].deleted) == (looked_at + 1, False)
    assert Outcome.REFUSED not in outcomes(town)


def test_an_account_that_we_have_switched_off_is_no_edit_of_it(town: Town) -> None:
    lived(town, sis(name="Ada"), idp("u1", hub_id="1", name="Ada", email="a@x"))
    lived(town, sis(name="Ada L.", hours=1))  # told for the first time: until then it only told us
    lived(town, sis(op=Op.DELETE, hours=2))
    assert not town.fars["idp"].records["student/1"].active
    lived(town, idp("u1", name="Ada L.", email=None, hours=3))

    assert outcomes(town)[-1] is Outcome.UNCHANGED
    assert "conflict" not in alerts(town)
    lived(town, sis(name="Ada", hours=4))  # who comes back is told of
    assert town.fars["idp"].records["student/1"].active


def test_an_account_of_nobody_here_that_goes_waits_no_more(town: Town) -> None:
    lived(town, idp("vendor", name="Backup"))
    lived(town, idp("vendor", op=Op.DELETE, hours=1))

    assert outcomes(town) == [Outcome.UNMATCHED, Outcome.UNCHANGED]
    facts = [s for s in town.server.streams["STATE"].history if s.subject.startswith("state.unmatched.")]
    assert unpack(facts[-1].body).get("resolved") is True


def test_a_delivery_says_what_the_system_is_believed_to_have(town: Town) -> None:
    lived(town, sis(name="Ada"), idp("u1", hub_id="1", name="Ada", email="a@x"))
    lived(town, sis(name="Ada L.", hours=1))

    assert town.fars["idp"].bases["student/1"] == {"name": "Ada", "email": "a@x"}


def test_30_a_clock_ahead_does_not_make_what_comes_after_it_stale(town: Town) -> None:
    lived(town, sis(name="Ada"), idp("u1", hub_id="1", name="Ada", email="a@x", hours=9_000))
    lived(town, idp("u1", name="Ada", email="b@x", hours=9_001))

    assert records(town)["student/1"].values["email"] == "b@x"
