"""A person links, takes apart, dismisses."""

from bus.messages import Event, Op, Outcome, Record, Seen
from router.core.linking import decide_link

RECORD = Record("student/7", "student", 3, 9, False, (), 1, {}, {}, {"sis": "7"}, {"idp": Seen(1)})


def act(op: Op, local_id: str, *, looked_at: int = 3, system: str = "idp") -> Event:
    about = {"system": system, "local_id": local_id, "looked_at": looked_at, "who": "kim", "why": "saw it"}
    return Event("1", "operator", "student", op, "", {}, False, 5, act=about)


def linked(record: Record, *ids: str) -> Record:
    for local_id in ids:
        after = decide_link(record, act(Op.LINK, local_id, looked_at=record.rev), 12).record
        assert after is not None
        record = after
    return record


def test_a_second_id_of_a_system_is_an_alias() -> None:
    record = linked(RECORD, "a", "b", "c")

    assert record.links["idp"] == "a"
    assert record.aliases == {"idp": ("b", "c")}
    assert record.rev == 6


def test_linking_what_is_linked_changes_nothing() -> None:
    record = linked(RECORD, "a", "b")

    assert decide_link(record, act(Op.LINK, "b", looked_at=record.rev), 20).outcome is Outcome.UNCHANGED


def test_two_people_that_were_made_one_can_be_split_again() -> None:
    record = linked(RECORD, "a", "b")
    after = decide_link(record, act(Op.UNLINK, "a", looked_at=record.rev), 20).record
    assert after is not None
    assert (after.links["idp"], dict(after.aliases)) == ("b", {})

    alone = decide_link(after, act(Op.UNLINK, "b", looked_at=after.rev), 21).record
    assert alone is not None
    assert "idp" not in alone.links
    assert "idp" not in alone.seen


def test_a_record_that_has_changed_since_answers_look_again() -> None:
    decision = decide_link(RECORD, act(Op.LINK, "a", looked_at=2), 12)

    assert (decision.outcome, decision.makes_change) == (Outcome.REFUSED, False)
    assert "look again" in decision.reason


def test_what_is_not_there_or_not_linked_is_refused() -> None:
    assert decide_link(None, act(Op.LINK, "a"), 12).outcome is Outcome.REFUSED
    assert decide_link(RECORD._replace(deleted=True), act(Op.LINK, "a"), 12).outcome is Outcome.REFUSED
    assert decide_link(RECORD, act(Op.UNLINK, "a"), 12).outcome is Outcome.REFUSED


def test_dismissing_is_about_no_record() -> None:
    assert decide_link(None, act(Op.DISMISS, "a"), 12).outcome is Outcome.DISMISSED
