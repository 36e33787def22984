"""No more creates and removals an hour than a destination's limits: a wrong mapping cannot empty a system."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from bus.adapter import Delivery, Receipt
from bus.messages import Op, Outcome

HOUR_MS: Final = 3_600_000


class Quota:
    """Counts within the hour. In memory: a restart begins anew."""

    def __init__(self, creates: int, removes: int) -> None:
        self._most = {True: removes, False: creates}
        self._times: dict[bool, deque[int]] = {True: deque(), False: deque()}
        self._counted: list[bool] = []

    @property
    def limits(self) -> bool:
        """There is a limit."""
        return any(self._most.values())

    def hold(self, deliveries: Sequence[tuple[Delivery, bool]], now_ms: int) -> dict[str, Receipt]:
        """Receipts for those beyond a limit (delivery, whether it is a create). 0 means no limit."""
        held = {}
        self._counted = []
        for delivery, is_create in deliveries:
            removal = delivery.op is Op.DELETE
            most = self._most[removal] if removal or is_create else 0
            if not most:
                continue
            times = self._times[removal]
            while times and now_ms - times[0] >= HOUR_MS:
                times.popleft()
            if len(times) >= most:
                what = "removals" if removal else "creates"
                reason = f"are held: the limit is {most} {what} an hour"
                held[delivery.key] = Receipt(delivery.key, Outcome.HELD, reason, tried=False)
            else:
                times.append(now_ms)
                self._counted.append(removal)
        return held

    def undo(self) -> None:
        """What was let through last did not go: it takes no room."""
        for removal in self._counted:
            self._times[removal].pop()
        self._counted = []
