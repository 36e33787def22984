"""Each law finds the adapter that breaks it: a real one, with one thing done wrong on purpose."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conformance.subjects import Http, HttpOwnIds, Sql, Subject

from adapters.contract import asking, batches, calls, nights, records, removals
from adapters.contract.law import Became, Law, Verdict, hold
from adapters.contract.laws import LAWS
from bus.adapter import Delivery, Destination, Receipt
from bus.errors import Unavailable
from bus.messages import Op, Outcome

Deliveries = Sequence[Delivery]


class Wrong:
    """The real adapter, of which one call is replaced."""

    def __init__(self, real: Destination) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Remembers(Wrong):
    """Says to everything that it is new."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        return [receipt._replace(outcome=Outcome.DELIVERED) for receipt in await self.real.apply(batch)]


class Lies(Wrong):
    """Writes nothing the first time."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        return [Receipt(delivery.key, Outcome.DELIVERED) for delivery in batch]


class Shouts(Wrong):
    """Writes text in capitals."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        def loud(delivery: Delivery) -> Delivery:
            fields = {
                name: value.upper() if isinstance(value, str) else value
                for name, value in delivery.fields.items()
            }
            return delivery._replace(fields=fields)

        return await self.real.apply([loud(delivery) for delivery in batch])


class IgnoresBlanks(Wrong):
    """Leaves a field as it was when it should be blank."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        kept = [{n: v for n, v in each.fields.items() if v is not None} for each in batch]
        return await self.real.apply(
            [each._replace(fields=fields) for each, fields in zip(batch, kept, strict=True)]
        )


class AnyVersion(Wrong):
    """Takes everything for the newest."""

    number = 100

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        AnyVersion.number += 1
        newest = [each._replace(version=each.version._replace(seq=self.number)) for each in batch]
        return await self.real.apply(newest)


class KeepsAll(Wrong):
    """Removes nothing."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        if all(each.op is Op.DELETE for each in batch):
            return [Receipt(each.key, Outcome.DELIVERED) for each in batch]
        return await self.real.apply(batch)


class Turns(Wrong):
    """Gives the receipts in another order."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        return list(reversed(await self.real.apply(batch)))


class AllOrNothing(Wrong):
    """One bad record spoils its batch."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        receipts = await self.real.apply(batch)
        if any(receipt.outcome is Outcome.FAILED for receipt in receipts):
            return [Receipt(each.key, Outcome.FAILED, "name, grade: the batch was refused") for each in batch]
        return receipts


class Tells(Wrong):
    """Gives the whole record as the reason."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        receipts = await self.real.apply(batch)
        return [
            receipt._replace(reason=f"{each.fields}") for receipt, each in zip(receipts, batch, strict=True)
        ]


class Fails(Wrong):
    """Takes a system that cannot answer for a record that it refuses."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        try:
            return await self.real.apply(batch)
        except Unavailable:
            return [Receipt(each.key, Outcome.FAILED, "refused") for each in batch]


class GivesUp(Fails):
    """And what should be tried later, too."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        failed = {Outcome.RETRYING: Outcome.FAILED}
        receipts = await super().apply(batch)
        return [each._replace(outcome=failed.get(each.outcome, each.outcome)) for each in receipts]


class Impatient(Wrong):
    """Forgets how long it was to wait, and which page to open."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        try:
            return await self.real.apply(batch)
        except Unavailable as error:
            raise Unavailable(error.message) from None


class Quotes(Wrong):
    """Shows what it was about to write when the system does not answer."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        try:
            return await self.real.apply(batch)
        except Unavailable as error:
            what = f"{error.message} {[each.fields for each in batch]}"
            raise Unavailable(what, retry_after_s=error.retry_after_s, runbook=error.runbook) from None


class Believes(Wrong):
    """Takes no answer for a good one."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        try:
            return await self.real.apply(batch)
        except Unavailable:
            return [Receipt(each.key, Outcome.DELIVERED) for each in batch]


class Falls(Wrong):
    """Has a bug, which tells what it was about."""

    async def apply(self, batch: Deliveries) -> Sequence[Receipt]:
        raise KeyError(str(batch[0].fields))


class ClosesOnce(Wrong):
    """Has nothing left to close the second time."""

    async def close(self) -> None:
        real, self.real = self.real, None  # type: ignore[assignment]
        await real.close()


class ChecksNothing(Wrong):
    """Is content with everything."""

    async def check(self) -> None:
        return None


class ForgetsSome(Wrong):
    """Lists half of what is there."""

    async def listing(self, entity: str) -> Any:
        async for page in self.real.listing(entity):
            yield page[:1]


async def held(kind: type[Subject], wrong: type[Wrong], keep: Any, folder: Path, request: Any) -> Verdict:
    """What becomes of a law when every adapter that a subject makes is wrong in this way."""
    subject = kind(folder, request)
    for name in ("make", "make_unreachable", "make_refused", "make_through"):
        setattr(subject, name, _wrapped(getattr(subject, name), wrong))
    [law] = [law for law in LAWS if law.keep is keep]
    return await hold(law, subject)


def _wrapped(make: Callable[..., Destination], wrong: type[Wrong]) -> Callable[..., Wrong]:
    return lambda *given, **named: wrong(make(*given, **named))


@pytest.mark.parametrize(
    ("kind", "wrong", "keep"),
    [
        (Sql, Remembers, records.the_same_delivery_twice_is_unchanged),
        (Sql, Remembers, records.the_same_content_in_a_newer_version_is_unchanged),
        (Sql, Remembers, calls.another_one_goes_on_where_one_was_closed),
        (Http, Lies, records.what_was_written_reads_back),
        (Http, Lies, records.an_edit_replaces_what_was_there),
        (Http, Lies, records.a_field_that_a_delivery_leaves_out_stays),
        (Sql, Shouts, records.every_plane_of_Unicode_reads_back),
        (Sql, Shouts, batches.a_field_of_a_megabyte_harms_nobody),
        (Sql, IgnoresBlanks, records.a_blank_field_reads_back_blank),
        (Sql, AnyVersion, records.an_older_version_is_not_applied),
        (Sql, AnyVersion, removals.an_older_version_does_not_bring_a_deleted_record_back),
        (Sql, AnyVersion, removals.an_older_version_does_not_switch_a_record_on_again),
        (Sql, KeepsAll, removals.a_deletion_twice_is_unchanged),
        (Sql, KeepsAll, removals.a_deactivation_twice_is_unchanged),
        (Sql, KeepsAll, removals.deleting_what_never_was_there_is_unchanged),
        (Sql, KeepsAll, removals.deactivating_what_never_was_there_is_unchanged),
        (Sql, KeepsAll, removals.a_record_comes_back_after_its_deletion),
        (Sql, KeepsAll, removals.a_record_comes_back_after_its_deactivation),
        (Sql, Turns, batches.receipts_come_in_the_order_of_the_batch),
        (Sql, AllOrNothing, batches.one_bad_record_leaves_the_others_delivered),
        (Sql, AllOrNothing, batches.half_a_surrogate_pair_fails_alone),
        (Sql, Tells, batches.a_reason_tells_no_value),
        (Sql, Fails, calls.a_system_that_is_not_there_is_said_to_be_unavailable),
        (Sql, Fails, calls.while_its_system_takes_nothing_it_is_unavailable),
        (Sql, Fails, calls.while_its_disk_is_full_it_is_unavailable),
        (Sql, ChecksNothing, calls.a_system_that_is_not_there_is_said_to_be_unavailable),
        (Sql, Falls, calls.check_is_content_with_a_system_in_order),
        (Sql, ClosesOnce, calls.it_closes_twice),
        (Sql, ForgetsSome, calls.what_it_lists_is_what_it_was_told),
        (Http, Lies, nights.a_router_that_is_killed_before_the_answer_finds_the_record_there_once),
        (Http, Lies, nights.a_call_that_is_cancelled_can_be_made_again),
        (Http, Impatient, calls.a_refused_credential_is_unavailable_with_a_runbook),
        (Http, Believes, nights.a_lost_answer_leaves_the_record_there_once),
        (HttpOwnIds, Lies, nights.a_lost_answer_leaves_the_record_there_once),
        (Http, Fails, nights.an_answer_that_breaks_off_leaves_the_record_there_once),
        (Http, Fails, nights.a_request_that_never_arrives_is_made_again),
        (Http, Impatient, nights.too_many_requests_are_to_wait_as_long_as_the_system_says),
        (Http, Impatient, nights.a_system_that_is_down_for_a_while_is_waited_for),
        (Http, Fails, nights.an_error_of_the_system_is_no_fault_of_the_record),
        (Http, Believes, nights.an_error_of_the_system_is_no_fault_of_the_record),
        (Http, Quotes, nights.a_page_of_a_proxy_is_no_answer),
        (Http, Impatient, nights.an_expired_token_is_no_fault_of_the_record),
        (Http, Fails, nights.a_system_that_hangs_is_given_up),
        (Http, Lies, nights.a_system_that_hangs_when_it_has_done_it_has_the_record_once),
        (Http, GivesUp, nights.a_system_that_goes_down_within_a_batch_loses_none_of_it),
        (Http, Lies, nights.a_restart_between_request_and_answer_leaves_the_record_there_once),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_a_law_finds_the_adapter_that_breaks_it(
    kind: type[Subject], wrong: type[Wrong], keep: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    verdict = await held(kind, wrong, keep, tmp_path, request)

    assert verdict.became is Became.BROKEN
    raised = "it raised" in verdict.text
    assert raised is (wrong in (Falls, ClosesOnce)), verdict.text


async def test_what_is_created_twice_after_a_lost_answer_is_found(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A system that makes its own ids, told by an adapter that cannot look whether a record is there."""

    class Blind(HttpOwnIds):
        table: ClassVar[dict[str, Any]] = {
            name: value for name, value in HttpOwnIds.table.items() if name != "read"
        }

    [law] = [law for law in LAWS if law.keep is nights.a_lost_answer_leaves_the_record_there_once]
    verdict = await hold(law, Blind(tmp_path, request))

    assert verdict.became is Became.BROKEN


async def test_a_bug_in_an_adapter_is_told_by_its_place_and_without_its_text(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    verdict = await held(Sql, Falls, records.what_was_written_reads_back, tmp_path, request)

    assert verdict.text.startswith("it raised KeyError in test_laws.py:")
    assert "Ada" not in verdict.text


def test_every_law_is_a_sentence_with_a_reason() -> None:
    assert [law.name for law in LAWS if not law.why or len(law.name.split()) < 3] == []
    assert len({law.name for law in LAWS}) == len(LAWS) > 35


def test_every_law_has_an_adapter_that_breaks_it() -> None:
    """`LAWS` is what these modules define: a law that nothing was seen to break would prove nothing."""
    broken = {keep for mark in _marks() for _, _, keep in mark}
    unbroken = [law.name for law in LAWS if law.keep not in broken]

    assert unbroken == ["a list that it cannot give is said to be none"]


def _marks() -> list[list[tuple[Any, Any, Any]]]:
    return [mark.args[1] for mark in test_a_law_finds_the_adapter_that_breaks_it.pytestmark]


@pytest.mark.parametrize(
    ("told", "found", "is_same"),
    [
        (True, "true", True),
        (True, 1, False),
        (False, "False", True),
        (1.5, "1.50", True),
        (9, "nine", False),
        ("01", "1", False),
        (("a", "b"), "a,b", True),
        (None, "", True),
        ((), None, True),
        (0, None, False),
        ("a", None, False),
    ],
)
def test_what_was_looked_up_as_text_is_compared_as_text(told: Any, found: Any, is_same: bool) -> None:
    assert asking.same(told, found) is is_same


def test_a_law_is_every_public_coroutine_of_its_module() -> None:
    for module in (records, removals, batches, calls, nights):
        public = [
            found
            for name, found in vars(module).items()
            if inspect.iscoroutinefunction(found)
            and found.__module__ == module.__name__
            and not name.startswith("_")
        ]
        assert {law.keep for law in LAWS if isinstance(law, Law)} >= {*public}


async def test_who_cannot_look_may_write_again_what_is_so_already(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    class Blind(Sql):
        looks = False

    verdict = await held(Blind, Remembers, records.the_same_delivery_twice_is_unchanged, tmp_path, request)

    assert verdict.became is Became.KEPT
