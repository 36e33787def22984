"""CHANGES -> the work list of one destination: mark the records, commit, move its durable.

The index has the changed records by their sequence, so nothing is read from the stream: a marker follows how
far the index has come. The destination's durable consumer on CHANGES is kept where the marker is, for whoever
asks the server how far a destination is behind.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Final

from bus import subjects
from bus.adapter import Sleep
from bus.errors import Unavailable
from bus.port import Bus
from router.core.rules import DestinationRule
from router.outbox import Outbox
from router.replay.newcomers import Newcomer
from router.steps import to_end
from router.store import Store

BATCH: Final = 2_000
RETRY_S: Final = 1.0


def position_of(system: str) -> str:
    """Under which name the index keeps up to which CHANGES sequence a destination is marked."""
    return f"marked.{system}"


class Marker:
    """Follows CHANGES for one destination, as the durable consumer of its name."""

    def __init__(
        self,
        *,
        system: str,
        rule: DestinationRule,
        bus: Bus,
        store: Store,
        now_ms: Callable[[], int],
        sleep: Sleep,
        marked: Callable[[], None],
        placed: Callable[[], Awaitable[None]],
        outbox: Outbox,
        trouble: Callable[[str], None],
    ) -> None:
        self._system = system
        self._entities = json.dumps(sorted(rule.entities))
        self._filters = sorted(subjects.changes_of(entity) for entity in rule.entities)
        self._bus = bus
        self._store = store
        self._now_ms = now_ms
        self._sleep = sleep
        self._marked = marked
        self._placed = placed
        self._trouble = trouble
        self._position = position_of(system)
        self._newcomer = Newcomer(system, rule, store, outbox)
        self.seq = 0

    async def run(self) -> None:
        """Mark for ever."""
        while True:
            try:
                await self._follow()
            except Unavailable as error:
                self._trouble(f"{self._system}: {error}")
                await self._sleep(RETRY_S)

    async def _follow(self) -> None:
        there = await self._bus.place(subjects.CHANGES, self._system, filters=self._filters)
        await self._placed()
        if self._newcomer.is_new and not there:
            upto = self._store.position("changes")
            await self._newcomer.arrive(self._position, upto, self._now_ms())
            await self._bus.move(subjects.CHANGES, self._system, upto)
        # An index that was made anew does not know, and has on the work list what is behind.
        self.seq = self._store.position(self._position) or there
        while True:
            await self._store.reached("changes", self.seq + 1)
            await to_end(self._take())

    async def _take(self) -> None:
        upto = min(self._store.position("changes"), self.seq + BATCH)
        row = (self._system, self._now_ms(), self.seq + 1, upto, self._entities)
        await self._store.commit(
            [
                self._store.write("mark", [row]),
                self._store.write("save_positions", [(self._position, upto)]),
            ]
        )
        self.seq = upto
        self._marked()
        await self._bus.move(subjects.CHANGES, self._system, upto)
