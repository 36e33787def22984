"""Laws of merging, for all events in all orders."""

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import EXISTENCE, Event, Op, Outcome, Record, Value
from router.core.merge import Decision, merge
from router.core.rules import EntityRule, FieldRule, Type

OWNERS = {"name": "sis", "grade": "sis", "email": "idp", "note": ""}
RULES = EntityRule(
    name="student",
    owner="sis",
    fields={name: FieldRule(name=name, type=Type.TEXT, owner=owner) for name, owner in OWNERS.items()},
)
KEY = "student/7"

systems = st.sampled_from(["sis", "idp"])
values: st.SearchStrategy[Value] = st.sampled_from([None, "a", "b"])
fields = st.dictionaries(st.sampled_from([*OWNERS, "unheard of"]), values)


@st.composite
def events(draw: st.DrawFn) -> Event:
    op = draw(st.sampled_from([Op.CREATE, Op.UPDATE, Op.UPDATE, Op.DELETE]))
    said = {} if op is Op.DELETE else draw(fields)
    return Event("id", draw(systems), "student", op, "7", said, True, draw(st.integers(0, 5)))


histories = st.lists(events(), max_size=12)


def play(history: list[Event]) -> list[tuple[Record | None, Event, Decision]]:
    """Each step: the record before, the event, the decision."""
    record: Record | None = None
    steps = []
    for seq, event in enumerate(history, 1):
        decision = merge(record, event, KEY, RULES, seq)
        steps.append((record, event, decision))
        record = decision.record
    return steps


@given(histories)
def test_only_its_owner_moves_a_field_and_then_to_what_it_said(history: list[Event]) -> None:
    for before, event, decision in play(history):
        old = before.values if before else {}
        new = decision.record.values if decision.record else {}
        for name in old.keys() | new.keys():
            if new.get(name) != old.get(name):
                assert OWNERS[name] == event.system
                assert new[name] == event.fields[name]


@given(histories)
def test_what_the_owner_says_stands_unless_it_is_stale_or_there_is_no_such_record(
    history: list[Event],
) -> None:
    for before, event, decision in play(history):
        if decision.outcome is Outcome.STALE or decision.record is None or decision.record.deleted:
            continue
        if before is None or before.deleted:
            assert event.system == RULES.owner
        for name, value in event.fields.items():
            stale = decision.by_field.get(name) is Outcome.STALE
            if OWNERS.get(name) == event.system and not stale:
                assert decision.record.values.get(name) == value


@given(histories)
def test_a_rev_moves_by_one_with_a_change_and_not_without(history: list[Event]) -> None:
    for before, _, decision in play(history):
        rev = before.rev if before else 0
        after = decision.record.rev if decision.record else 0
        assert after == rev + decision.makes_change


@given(histories)
def test_only_the_owner_of_existence_creates_removes_and_revives(history: list[Event]) -> None:
    for before, event, decision in play(history):
        was = before is not None and not before.deleted
        is_ = decision.record is not None and not decision.record.deleted
        if was != is_:
            assert event.system == "sis"
            assert decision.op is (Op.DELETE if was else Op.CREATE)


@given(histories)
def test_an_event_that_comes_again_changes_nothing(history: list[Event]) -> None:
    for _, event, decision in play(history):
        again = merge(decision.record, event, KEY, RULES, 99)
        assert not again.makes_change
        assert again.record is None or decision.record is None or again.record.rev == decision.record.rev


@given(histories)
def test_what_is_older_than_what_the_system_said_of_a_field_does_not_move_it(history: list[Event]) -> None:
    for before, event, decision in play(history):
        seen = before.seen.get(event.system) if before else None
        if before is None or seen is None or decision.record is None or event.op is Op.DELETE:
            continue
        for name in event.fields:
            said_at_ms = seen.times.get(name, seen.at_ms if name in seen.names else 0)
            if event.observed_at_ms < said_at_ms:
                assert decision.record.values.get(name) == before.values.get(name)
                assert decision.record.seen[event.system].said.get(name) == seen.said.get(name)


@given(histories)
def test_what_a_system_said_stands_or_is_remembered(history: list[Event]) -> None:
    for before, event, decision in play(history):
        record = decision.record
        stale = {name for name, each in decision.by_field.items() if each is Outcome.STALE}
        if record is None or decision.outcome is Outcome.STALE or event.op is Op.DELETE:
            continue
        if before is not None and before.deleted and record.deleted:
            continue
        for name, value in event.fields.items():
            if name in OWNERS and name not in stale:
                seen = record.seen[event.system]
                assert name in seen.names
                assert seen.said.get(name, record.values.get(name)) == value


@given(histories)
def test_a_claim_of_another_than_the_owner_is_refused_a_repeat_or_a_first_contact(
    history: list[Event],
) -> None:
    for before, event, decision in play(history):
        if before is None or before.deleted or event.op is Op.DELETE or event.system not in before.seen:
            continue
        seen = before.seen[event.system]
        for name, value in event.fields.items():
            if OWNERS.get(name) == event.system or decision.by_field.get(name) is Outcome.STALE:
                continue
            repeated = name in seen.names and value == seen.said.get(name, before.values.get(name))
            agreed = value == before.values.get(name)
            outcome = decision.by_field.get(name)
            if repeated or agreed:
                assert outcome is None or name not in OWNERS
            elif name in seen.names:
                assert outcome in (Outcome.REFUSED, Outcome.CONFLICT)


@given(histories)
def test_every_value_has_its_origin(history: list[Event]) -> None:
    for seq, (_, event, decision) in enumerate(play(history), 1):
        if decision.record is None:
            continue
        assert decision.record.values.keys() == decision.record.origins.keys() - {EXISTENCE}
        for name in decision.changed:
            origin = decision.record.origins[name]
            assert (origin.system, origin.event_seq) == (event.system, seq)


@given(histories)
def test_a_tombstone_keeps_its_values_and_ids(history: list[Event]) -> None:
    for before, _, decision in play(history):
        if before and not before.deleted and decision.record and decision.record.deleted:
            assert decision.record.values == before.values
            assert decision.record.links == before.links


@given(histories)
def test_no_decision_changes_the_record_it_was_given(history: list[Event]) -> None:
    for before, event, _ in play(history):
        if before:
            copy = before._replace(values=dict(before.values), seen=dict(before.seen))
            merge(before, event, KEY, RULES, 50)
            assert before == copy


@given(st.text(min_size=1, max_size=5))
def test_no_reason_holds_a_value(value: str) -> None:
    record = play([Event("1", "sis", "student", Op.CREATE, "7", {"name": "Ada"}, True, 1)])[0][2].record
    secret = f"<{value}>"
    decision = merge(
        record, Event("2", "idp", "student", Op.UPDATE, "7", {"name": secret}, True, 2), KEY, RULES, 2
    )
    assert secret not in decision.reason
