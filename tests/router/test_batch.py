"""What a batch gathers for its commit, and changes of an earlier life in step with their events."""

from collections.abc import AsyncIterator

import pytest

from bus.codec import encode_change
from bus.messages import Change, Op, Outcome, Record, Seen
from bus.port import Message
from router.batch import Ahead, Batch


def change(seq: int, event_seq: int, key: str = "student/1", rev: int = 1) -> Change:
    record = Record(key, "student", rev, seq, False, (), event_seq, {}, {}, {}, {})
    return Change(record, Op.UPDATE, f"e{event_seq}", "sis", Outcome.ACCEPTED, (), 6, 5)


async def stream(*event_seqs: int) -> AsyncIterator[tuple[Change, bytes]]:
    for seq, event_seq in enumerate(event_seqs, 1):
        yield change(seq, event_seq), b"body"


def seqs(found: list[tuple[Change, bytes]]) -> list[int]:
    return [each.record.seq for each, _ in found]


# -- Ahead


async def test_changes_are_handed_out_as_far_as_the_events_have_come() -> None:
    ahead = Ahead(stream(3, 3, 5, 9))
    found = [seqs(await ahead.until(event_seq)) for event_seq in (2, 3, 4, 8, 9, 10)]

    assert found == [[], [1, 2], [], [3], [4], []]


async def test_without_an_event_so_many_are_handed_out_and_none_twice() -> None:
    ahead = Ahead(stream(3, 3, 5, 9))
    found = [seqs(await ahead.until(None, 3)) for _ in range(3)]

    assert found == [[1, 2, 3], [4], []]


async def test_the_one_that_was_looked_at_is_not_lost_to_the_next_way_of_asking() -> None:
    ahead = Ahead(stream(3, 5))

    assert seqs(await ahead.until(4)) == [1]
    assert seqs(await ahead.until(None, 5)) == [2]


async def test_after_the_end_there_is_nothing_more() -> None:
    ahead = Ahead(stream())

    assert await ahead.until(1) == await ahead.until(None, 1) == []


# -- Batch


@pytest.fixture
def batch() -> Batch:
    return Batch({}, {}, set())


def add(batch: Batch, found: Change) -> None:
    batch.add(found, Message("change.student.t", encode_change(found)))


def test_of_each_record_the_newest_change_is_saved_with_its_sequence_and_body(batch: Batch) -> None:
    batch.taken.append((change(7, 1), b"taken"))
    batch.taken.append((change(8, 1, "student/3"), b"taken"))
    for rev, key in ((2, "student/1"), (1, "student/2"), (3, "student/1")):
        add(batch, change(0, 2, key, rev))
    saved = batch.saved([11, 12, 13])

    assert {key: (record.rev, record.seq) for key, (record, _) in saved.items()} == {
        "student/1": (3, 13),
        "student/2": (1, 12),
        "student/3": (1, 8),
    }
    assert saved["student/1"][1] == batch.messages[2].body
    assert batch.changed == {"student/1", "student/2"}


def test_what_was_said_after_a_change_goes_with_it(batch: Batch) -> None:
    seen = {"sis": Seen(9, {"name": "Bob"})}
    add(batch, change(0, 2, rev=2))
    batch.seen["student/1"] = change(0, 2, rev=2).record._replace(seen=seen)
    record, body = batch.saved([11])["student/1"]

    assert (record.seq, record.seen) == (11, seen)
    assert body == batch.messages[0].body


def test_what_was_said_before_a_change_is_in_it(batch: Batch) -> None:
    batch.seen["student/1"] = change(0, 2).record
    add(batch, change(0, 3, rev=2))

    assert batch.seen == {}


def test_what_was_said_of_a_record_that_did_not_change_makes_no_version_of_it(batch: Batch) -> None:
    batch.seen["student/1"] = change(0, 2).record

    assert batch.saved([]) == {}


def test_a_batch_whose_messages_were_not_all_published_is_not_saved(batch: Batch) -> None:
    add(batch, change(0, 2))

    with pytest.raises(ValueError, match="shorter"):
        batch.saved([])
