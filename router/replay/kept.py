"""For how long the index can tell what a window of time holds: as long as EVENTS is kept.

`changed` and `ended` grow with every change and delivery. What is older goes, a little at a time.
"""

from collections.abc import Callable
from typing import Final

from bus import subjects
from bus.port import Bus
from router.store import Store

KEPT_DAYS: Final = 90
DAY_MS: Final = 86_400_000
AT_ONCE: Final = 20_000
"""Rows that go in one commit: others wait for the disk meanwhile."""
LOOK_MS: Final = 3_600_000
POSITION: Final = "replay.from"
"""Under which name the index keeps from when (in milliseconds) on it can tell; 0: from the beginning."""


def kept_from_ms(now_ms: int) -> int:
    """What is older than that is not kept."""
    return max(now_ms - KEPT_DAYS * DAY_MS, 0)


async def first_seq_at(bus: Bus, at_ms: int) -> int:
    """The sequence of the first change that was made at that time or later, or that will be made next."""
    async for page in bus.read(subjects.CHANGES, since_ms=at_ms):
        return page[0].seq
    return (await bus.info(subjects.CHANGES)).last_seq + 1


class Kept:
    """Lets go of what is too old, once an hour."""

    def __init__(self, bus: Bus, store: Store, now_ms: Callable[[], int]) -> None:
        self._bus = bus
        self._store = store
        self._now_ms = now_ms
        self._looked_ms = 0

    async def look(self) -> None:
        """Raises Unavailable."""
        now_ms = self._now_ms()
        if now_ms - self._looked_ms < LOOK_MS:
            return
        until_ms = kept_from_ms(now_ms)
        until_seq = await first_seq_at(self._bus, until_ms)
        while self._store.read("changed_before", until_seq) or self._store.read("ended_before", until_ms):
            # First that it cannot be told any more, then that it is not there: never the other way round.
            await self._store.commit([self._store.write("save_positions", [(POSITION, until_ms)])])
            await self._store.commit(
                [
                    self._store.write("forget_changed", [(until_seq, AT_ONCE)]),
                    self._store.write("forget_ended", [(until_ms, AT_ONCE)]),
                ]
            )
        self._looked_ms = now_ms
