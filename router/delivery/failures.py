"""Records that a destination lacks because their delivery failed: `status` counts them, `explain` says why.

They stand in the index, written in the commit that settles the delivery, so that they outlive a restart. A
record is on the list until a later delivery or put of it ends otherwise. The dead letter itself is on DEAD.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Final

from bus import subjects
from bus.codec import decode_audit
from bus.errors import Garbage
from bus.messages import AuditRecord, Outcome
from bus.port import Bus
from router.database import Write
from router.delivery.settled import Settled, resolved
from router.store import Store

Row = tuple[str, str, int, int, int, int, str]
"""destination, key, rev, seq, at_ms, attempts, reason"""
NOT_DONE: Final = ("observe:", "add-only:")
"""How a delivery begins to say that nothing was sent, though there was something to send."""


class Failures:
    """Those of one destination."""

    def __init__(self, system: str, store: Store) -> None:
        self._system, self._store = system, store
        # May hold more than the table has: to forget what is not there does no harm.
        self._known = {int(record) for (record,) in store.read("failed_records", system)}

    def writes(self, done: Sequence[Settled], now_ms: int) -> list[Write]:
        """For the commit that settles these."""
        failed = [each for each in done if each.outcome is Outcome.FAILED]
        rows = [
            (
                self._system,
                each.claim.record,
                each.record.rev,
                each.record.seq,
                now_ms,
                each.claim.attempt + each.tried,
                each.reason,
            )
            for each in failed
        ]
        mended = [(self._system, each.claim.record) for each in done if self._mends(each)]
        self._known.update([each.claim.record for each in failed])
        return [self._store.write("save_failures", rows), self._store.write("forget_failures", mended)]

    def resolving(self, done: Sequence[Settled]) -> Sequence[Settled]:
        """The same; those that resolve a dead letter say so."""
        if not self._known:
            return done
        return [each._replace(reason=resolved(each.reason)) if self._mends(each) else each for each in done]

    def _mends(self, each: Settled) -> bool:
        is_known = bool(self._known) and each.claim.record in self._known
        return is_known and each.outcome is not Outcome.FAILED and not each.reason.startswith(NOT_DONE)

    def __contains__(self, record: object) -> bool:
        """Did its newest delivery fail? Who says no may have written all the same."""
        return record in self._known

    def settled(self, done: Sequence[Settled]) -> None:
        """These stand in the index now."""
        if self._known:
            self._known.difference_update([each.claim.record for each in done if self._mends(each)])

    def forget(self, records: Iterable[int]) -> None:
        """A person has discarded these."""
        self._known.difference_update(records)


async def unmended(bus: Bus) -> list[Row]:
    """The failures that nothing has settled otherwise since, from AUDIT."""
    newest: dict[tuple[str, str], AuditRecord] = {}
    async for each in _audited(bus, "audit.delivery.failed.>", "audit.put.failed.>"):
        before = newest.get((each.destination, each.key))
        if before is None or _order(before) <= _order(each):
            newest[each.destination, each.key] = each
    if not newest:
        return []
    async for each in _audited(bus, "audit.delivery.>", "audit.put.>"):
        before = newest.get((each.destination, each.key))
        settles = each.outcome is not Outcome.FAILED and not each.reason.startswith(NOT_DONE)
        if before and settles and _order(before) < _order(each):
            del newest[each.destination, each.key]
    return [
        (each.destination, each.key, each.rev, each.seq, each.at_ms, each.attempt, each.reason)
        for each in newest.values()
    ]


def _order(each: AuditRecord) -> tuple[int, int]:
    return each.rev, each.at_ms


async def _audited(bus: Bus, *wanted: str) -> AsyncIterator[AuditRecord]:
    for subject in wanted:
        async for page in bus.read(subjects.AUDIT, subject=subject):
            for stored in page:
                with suppress(Garbage):  # counted where the ledger is made
                    for each in decode_audit(stored.body):
                        yield each
