"""News under one of several ids of a record."""

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Claim, Event, Op, Origin, Outcome, Record, Seen
from router.core.hearing import hear
from router.core.rules import EntityRule, FieldRule, Period, Type

RULES = EntityRule(
    name="x",
    owner="sis",
    fields={
        "name": FieldRule(name="name", type=Type.TEXT, owner="sis"),
        "mail": FieldRule(name="mail", type=Type.TEXT, owner="idp"),
    },
)


def said(local_id: str, at_ms: int, *, op: Op = Op.UPDATE, system: str = "sis", **fields: str) -> Event:
    return Event("e", system, "x", op, local_id, {**fields}, op is not Op.DELETE, at_ms)


def after(record: Record | None, *events: Event) -> Record:
    for seq, event in enumerate(events, (record.event_seq if record else 0) + 1):
        record = hear(record, event, "x/1", RULES, seq).record
    assert record is not None
    return record


def with_alias() -> Record:
    record = after(None, said("1", 1, op=Op.CREATE, name="Ada"))
    seen = {**record.seen, "sis:2": Seen(1, ("name",), {})}
    return record._replace(aliases={"sis": ("2", "3")}, seen=seen)


def test_an_alias_is_heard_where_it_agreed_and_noted_where_it_differs() -> None:
    record = after(with_alias(), said("2", 2, name="Bea"))
    assert record.values["name"] == "Bea"
    record = after(record, said("1", 3, name="Ada"))  # a repeat
    assert record.values["name"] == "Bea"
    record = after(record, said("1", 4, name="Cai"), said("2", 5, name="Dee"))

    assert record.values["name"] == "Cai"
    assert record.seen["sis:2"].said == {"name": "Dee"}
    assert (record.links, record.aliases) == ({"sis": "1"}, {"sis": ("2", "3")})


def test_an_alias_that_never_spoke_overwrites_nothing() -> None:
    record = after(with_alias(), said("3", 2, name="Bea", mail="b@x"))

    assert record.values["name"] == "Ada"
    assert record.seen["sis:3"].said["name"] == "Bea"


def test_older_news_of_an_alias_is_stale_by_its_own_time() -> None:
    record = after(with_alias(), said("1", 50, name="Ada"), said("2", 10, name="Bea"))
    assert record.values["name"] == "Bea"

    assert hear(record, said("2", 5, name="Old"), "x/1", RULES, 9).outcome is Outcome.STALE
    assert hear(record, said("2", 5, op=Op.DELETE), "x/1", RULES, 9).outcome is Outcome.STALE
    assert hear(record, said("1", 5, op=Op.DELETE), "x/1", RULES, 9).outcome is Outcome.STALE


def test_a_record_goes_with_the_last_id_that_has_it() -> None:
    record = after(with_alias(), said("1", 2, op=Op.DELETE))
    assert (record.deleted, record.links, record.aliases) == (False, {"sis": "2"}, {"sis": ("1", "3")})

    assert after(record, said("2", 3, op=Op.DELETE)).deleted


def test_an_alias_that_goes_leaves_the_record_as_it_is() -> None:
    decision = hear(with_alias(), said("2", 2, op=Op.DELETE), "x/1", RULES, 9)

    assert (decision.outcome, decision.makes_change) == (Outcome.UNCHANGED, False)
    assert decision.record is not None
    assert after(decision.record, said("1", 3, op=Op.DELETE)).deleted


def test_a_deleted_record_comes_back_under_any_of_its_ids() -> None:
    record = after(with_alias(), said("2", 2, op=Op.DELETE), said("1", 3, op=Op.DELETE))
    back = after(record, said("2", 4, op=Op.CREATE, name="Ada"))

    assert (back.deleted, back.links["sis"]) == (False, "2")
    assert after(back, said("2", 5, op=Op.DELETE)).deleted


def test_an_id_that_is_not_listed_becomes_the_main_one() -> None:
    record = after(with_alias(), said("4", 2, name="Eve"))

    assert (record.links["sis"], record.aliases["sis"]) == ("4", ("1", "2", "3"))
    assert record.values["name"] == "Eve"
    assert not after(record, said("1", 3, op=Op.DELETE)).deleted
    assert not hear(record, said("5", 3, op=Op.DELETE), "x/1", RULES, 9).makes_change


events = st.builds(
    lambda local_id, at_ms, name, gone: (
        said(local_id, at_ms, op=Op.DELETE) if gone else said(local_id, at_ms, name=name)
    ),
    st.sampled_from(["1", "2", "3", "4"]),
    st.integers(2, 9),
    st.sampled_from(["Ada", "Bea", "Cai"]),
    st.booleans(),
)


@given(st.lists(events, max_size=12))
def test_every_id_stays_an_id_and_what_each_says_is_kept(history: list[Event]) -> None:
    record = with_alias()
    ids = {"1", "2", "3"}
    for seq, event in enumerate(history, 2):
        decision = hear(record, event, "x/1", RULES, seq)
        assert decision.record is not None
        assert decision.record.rev == record.rev + decision.makes_change
        if decision.makes_change:
            ids.add(event.local_id)
        record = decision.record

        assert {record.links["sis"], *record.aliases.get("sis", ())} == ids
        for seen in record.seen.values():
            assert all(record.values.get(name) != value for name, value in seen.said.items())
        if not record.deleted:  # somebody has it
            assert record.seen["sis"].names


def test_an_alias_that_is_refused_is_not_set_right() -> None:
    """What is told goes to the main id."""
    rules = EntityRule(name="x", owner="sis", fields=RULES.fields, two_way=frozenset({"idp"}))
    record = after(with_alias(), said("u", 2, system="idp", mail="u@x", name="Ada"))
    record = record._replace(
        aliases={**record.aliases, "idp": ("v",)}, seen={**record.seen, "idp:v": Seen(2, ("name",))}
    )

    by_alias = hear(record, said("v", 3, system="idp", name="Eve"), "x/1", rules, 9)
    by_main = hear(record, said("u", 3, system="idp", name="Eve"), "x/1", rules, 9)

    assert (by_alias.outcome, by_alias.owed) == (Outcome.REFUSED, False)
    assert (by_main.outcome, by_main.owed) == (Outcome.REFUSED, True)


def test_who_does_not_decide_existence_moves_no_id_of_a_record_that_is_gone() -> None:
    record = after(with_alias(), said("u", 2, system="idp", mail="u@x"))
    record = record._replace(aliases={**record.aliases, "idp": ("v",)})
    gone = after(record, said("2", 3, op=Op.DELETE), said("1", 4, op=Op.DELETE))
    decision = hear(gone, said("v", 5, system="idp", mail="v@x"), "x/1", RULES, 9)

    assert decision.record == gone
    assert not decision.makes_change


def test_the_next_id_does_not_overwrite_what_another_system_said() -> None:
    nick = FieldRule(name="nick", type=Type.TEXT, owner="", owners=(Period(systems=("idp", "sis")),))
    rules = EntityRule(name="x", owner="sis", fields={**RULES.fields, "nick": nick})
    record = with_alias()._replace(
        values={"name": "Ada", "nick": "A"},
        origins={"name": Origin("sis", 1, 1, "owner"), "nick": Origin("idp", 2, 2, "owner")},
        seen={"sis": Seen(1, ("name",)), "sis:2": Seen(1, ("name", "nick"), {"name": "Bea", "nick": "B"})},
    )
    left = hear(record, said("1", 9, op=Op.DELETE), "x/1", rules, 9).record

    assert left is not None
    assert left.values == {"name": "Bea", "nick": "A"}
    assert left.seen["sis"].said == {"nick": "B"}


def test_two_ids_of_one_system_are_in_no_conflict_with_each_other() -> None:
    claims = {"name": Claim(1, 1, is_open=True)}
    alias = Seen(1, ("name",), {"name": "Bea"}, {}, {}, claims)
    record = with_alias()._replace(seen={"sis": Seen(1, ("name",)), "sis:2": alias})
    decision = hear(record, said("1", 9, name="Cai"), "x/1", RULES, 9)

    assert (decision.outcome, decision.conflicts) == (Outcome.ACCEPTED, ())
    assert decision.record is not None
    assert decision.record.seen["sis:2"].said == {"name": "Bea"}
