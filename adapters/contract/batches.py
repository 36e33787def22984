"""Laws of many records at once: each has its own receipt, and none spoils another."""

from bus.messages import Outcome

from .asking import must_be, must_have, must_tell_nothing, opened, tell
from .law import Broken
from .subject import Subject

MEGABYTE = "é" * (1 << 19)
_NEW = (Outcome.DELIVERED,)
_NO = (Outcome.FAILED,)


async def receipts_come_in_the_order_of_the_batch(subject: Subject) -> None:
    """One for each, and in that order: the router settles by it."""
    batch = [subject.delivery(f"{n}", n - 1000) for n in (1005, 1003, 1009, 1001)]
    async with opened(subject.make()) as there:
        for receipt in await tell(there, *batch):
            must_be(receipt, _NEW, "a record of the batch")


async def one_bad_record_leaves_the_others_delivered(subject: Subject) -> None:
    """It fails, with a reason; six others do not wait for a person to mend it."""
    ids = [f"{n}" for n in range(1001, 1008)]
    bad = subject.bad_fields("1004")
    batch = [
        subject.delivery(id_, n, bad if id_ == "1004" else subject.fields(id_))
        for n, id_ in enumerate(ids, start=1)
    ]
    async with opened(subject.make()) as there:
        receipts = await tell(there, *batch)
    for id_, receipt in zip(ids, receipts, strict=True):
        is_bad = id_ == "1004"
        must_be(receipt, _NO if is_bad else _NEW, "the bad record" if is_bad else "a good record beside it")
        if is_bad and not receipt.reason:
            raise Broken("a reason that says why", "the bad record: a receipt without a reason")
        await must_have(subject, id_, None if is_bad else subject.fields(id_), "after the batch")


async def a_reason_tells_no_value(subject: Subject) -> None:
    """Reasons stand in logs and on screens: names of fields are enough to mend a record."""
    bad = subject.bad_fields("1004")
    async with opened(subject.make()) as there:
        [receipt] = await tell(there, subject.delivery("1004", 4, bad))
    must_be(receipt, _NO, "the bad record")
    must_tell_nothing(receipt.reason, tuple(value for value in bad.values() if isinstance(value, str)))


async def a_field_of_a_megabyte_harms_nobody(subject: Subject) -> None:
    """It comes through, or fails with a reason; the records beside it are delivered."""
    huge = subject.fields("1002", MEGABYTE)
    batch = [subject.delivery("1001", 1), subject.delivery("1002", 2, huge), subject.delivery("1003", 3)]
    async with opened(subject.make()) as there:
        before, receipt, after = await tell(there, *batch)
    must_be(before, _NEW, "the record before it")
    must_be(after, _NEW, "the record after it")
    must_be(receipt, (*_NEW, *_NO), "the record with a megabyte")
    if receipt.outcome is Outcome.DELIVERED:
        await must_have(subject, "1002", huge, "a megabyte")
    elif not receipt.reason:
        raise Broken("a reason that says why", "the record with a megabyte: a receipt without a reason")


async def half_a_surrogate_pair_fails_alone(subject: Subject) -> None:
    """No character at all, though Python may hold it: it names its field, and harms nobody."""
    broken = subject.delivery("1002", 2, subject.fields("1002", "\ud83d"))
    async with opened(subject.make()) as there:
        good, bad = await tell(there, subject.delivery("1001", 1), broken)
    must_be(good, _NEW, "the record beside it")
    must_be(bad, _NO, "the broken record")
    if subject.text_field not in bad.reason:
        raise Broken(f"a reason that names {subject.text_field}", "a reason that does not name its field")
