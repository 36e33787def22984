"""Calling the adapter of one destination: within its deadline, and no more at once than it does in time."""

import asyncio
from collections.abc import Sequence
from typing import Final

from bus.adapter import Delivery, Destination, Receipt
from bus.errors import Unavailable
from bus.messages import Outcome

CLAIM_MAX: Final = 1_000
CLAIM_GATHERED_MAX: Final = 6_000
"""More would cost memory, and the file that is written again each time costs less than that."""


class AdapterBug(Unavailable):
    """The adapter raised what it must not. Alone, the record that brings it out is found."""


class Sending:
    """`unanswered`: the keys of what was sent, and may be there or not. `put_off`: of what the
    system has asked to send again, and may have written all the same.
    """

    def __init__(self, system: str, adapter: Destination, deadline_s: float, *, gathers: bool) -> None:
        self._system = system
        self._adapter = adapter
        self._deadline_s = deadline_s
        self._in_time_max = CLAIM_GATHERED_MAX
        self._alone_next = 0
        self.unanswered: set[str] = set()
        self.put_off: set[str] = set()
        self._claim_max = CLAIM_GATHERED_MAX if gathers else CLAIM_MAX

    @property
    def records_max(self) -> int:
        """How many records a call may carry, if it is in time."""
        return min(self._adapter.batch_records_max, self._claim_max)

    @property
    def most(self) -> int:
        """How many records the next call may carry."""
        return 1 if self._alone_next else max(1, min(self.records_max, self._in_time_max))

    @property
    def behind_s(self) -> float:
        """By how much to put off a record that is late even alone: it lets the others pass."""
        return 2 * self._deadline_s if self._in_time_max == 1 else 0.0

    async def apply(self, deliveries: Sequence[Delivery]) -> dict[str, Receipt]:
        """Tell the system. Raises Unavailable, also for a call that hangs and for an adapter's bug."""
        try:
            async with asyncio.timeout(self._deadline_s):
                receipts = await self._adapter.apply(deliveries)
        except TimeoutError:
            # It may only be slow: so many in that time were too many.
            self._in_time_max = max(1, len(deliveries) // 2)
            what = f"{self._system}: {len(deliveries)} records not done within {self._deadline_s:.0f} s"
            raise self._lost(deliveries, Unavailable(what, runbook="destination-unreachable")) from None
        except Unavailable as error:
            raise self._lost(deliveries, error) from error.__cause__
        except Exception as error:
            # A bug in one adapter must not stop the others. Each record of this batch goes alone next.
            self._alone_next = max(self._alone_next, len(deliveries))
            bug = AdapterBug(f"{self._system}: bug: {type(error).__name__} in its adapter")
            raise self._lost(deliveries, bug) from error
        self._alone_next = max(self._alone_next - 1, 0)
        # Twice as many may be in time too; a few that were say nothing of many.
        self._in_time_max = min(max(self._in_time_max, 2 * len(deliveries)), CLAIM_GATHERED_MAX)
        found = {receipt.key: receipt for receipt in receipts}
        self.unanswered.update([each.key for each in deliveries if each.key not in found])
        self.put_off.update([each.key for each in receipts if each.outcome is Outcome.RETRYING])
        return found

    def settled(self, keys: Sequence[str]) -> None:
        """What became of these is in the index."""
        self.unanswered.difference_update(keys)
        self.put_off.difference_update(keys)

    def _lost(self, deliveries: Sequence[Delivery], error: Unavailable) -> Unavailable:
        self.unanswered.update([each.key for each in deliveries])
        return error
