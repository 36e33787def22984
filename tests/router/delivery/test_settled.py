"""How deliveries end: what the ledger keeps, what is told, and that no value is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.codec import unpack
from bus.messages import Op, Outcome, Record, Step, Version
from bus.subjects import Tokens
from router.core.delivery import NOTHING_HELD, Held
from router.delivery.settled import Claim, Settled, Telling

TELLING = Telling("lms", 2, Tokens(b"key"))
RECORD = Record(
    "student/7", "student", 5, 31, False, ("name",), 9, {"name": "Ada", "grade": "9"}, {}, {"sis": "7"}, {}
)
HELD = Held(3, Version(1, 20), "old", "lms-7")
ENDS = [Outcome.DELIVERED, Outcome.UNCHANGED, Outcome.SUPERSEDED, Outcome.FILTERED, Outcome.FAILED]


def settled(
    outcome: Outcome, *, held: Held = HELD, local_id: str = "lms-7", attempt: int = 0, tried: bool = True
) -> Settled:
    claim = Claim(30, 4, RECORD.key, RECORD.rev, attempt, 0, held)
    return Settled(claim, RECORD, outcome, Op.UPDATE, "new", local_id, "because", tried=tried)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_what_is_put_off_or_held_or_waits_stays_on_the_work_list(outcome: Outcome) -> None:
    assert settled(outcome).is_open == (outcome in (Outcome.RETRYING, Outcome.HELD, Outcome.WAITING))


@pytest.mark.parametrize("outcome", ENDS)
def test_the_ledger_has_the_version_that_is_there(outcome: Outcome) -> None:
    destination, record, rev, *version, hash_, local_id, since_ms = TELLING.ledger_row(settled(outcome), 100)

    assert (destination, record, rev, hash_, local_id, since_ms) == ("lms", 4, 5, "new", "lms-7", 100)
    assert version == ([1, 20] if outcome is Outcome.FAILED else [2, 31])


@given(rev=st.integers(0, 4), outcome=st.sampled_from(ENDS))
def test_the_audit_record_settles_all_revs_since_the_last_settled_one(rev: int, outcome: Outcome) -> None:
    (found,) = TELLING.audited(settled(outcome, held=HELD._replace(rev=rev)), "sis", 100)

    assert (found.rev_from, found.rev) == (rev + 1, 5)
    assert (found.step, found.outcome, found.at_ms) == (Step.DELIVERY, outcome, 100)
    assert (found.source, found.destination, found.system) == ("sis", "lms", "lms")
    assert (found.epoch, found.seq, found.event_seq, found.hash) == (2, 31, 9, "new")


@pytest.mark.parametrize(("attempt", "tried", "counted"), [(0, True, 1), (3, True, 4), (3, False, 3)])
def test_only_what_was_tried_counts_as_an_attempt(attempt: int, tried: bool, counted: int) -> None:
    (found,) = TELLING.audited(settled(Outcome.DELIVERED, attempt=attempt, tried=tried), "sis", 100)

    assert found.attempt == counted


def test_an_id_is_the_same_for_the_same_rev_and_tells_no_key() -> None:
    ids = {
        TELLING.id_of(RECORD),
        TELLING.id_of(RECORD._replace(values={}, seen={})),
        TELLING.audited(settled(Outcome.FAILED), "sis", 1)[0].id,
        TELLING.told(settled(Outcome.FAILED), 2)[0].id,
    }
    others = {
        TELLING.id_of(RECORD._replace(seq=32)),
        TELLING._replace(epoch=3).id_of(RECORD),
        TELLING._replace(system="idp").id_of(RECORD),
    }

    assert len(ids) == 1
    assert len(ids | others) == 4
    assert not any(RECORD.key in each for each in ids | others)


def test_a_dead_letter_names_the_record_and_its_fields_without_values() -> None:
    [letter] = TELLING.told(settled(Outcome.FAILED, attempt=2), 100)
    said = unpack(letter.body)

    assert letter.subject == "dead.lms.student"
    assert (said["key"], said["rev"], said["reason"], said["attempts"]) == ("student/7", 5, "because", 3)
    assert said["fields"] == ("grade", "name")
    assert b"Ada" not in letter.body


@pytest.mark.parametrize("outcome", [each for each in ENDS if each is not Outcome.FAILED])
def test_what_did_not_fail_is_no_dead_letter(outcome: Outcome) -> None:
    assert TELLING.told(settled(outcome), 100) == []


@pytest.mark.parametrize(
    ("held", "local_id", "told"),
    [(NOTHING_HELD, "lms-7", True), (HELD, "lms-8", True), (HELD, "lms-7", False), (HELD, "", False)],
    ids=["first", "another", "the same", "none"],
)
def test_an_id_that_the_destination_gave_is_told_when_it_is_news(
    held: Held, local_id: str, told: bool
) -> None:
    messages = TELLING.told(settled(Outcome.DELIVERED, held=held, local_id=local_id), 100)

    assert [unpack(each.body)["local_id"] for each in messages] == [local_id] * told
    assert [each.subject for each in messages] == [
        f"state.link.lms.student.{TELLING.tokens('student/7')}"
    ] * told
