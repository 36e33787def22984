"""CHANGES -> the work list of one destination: mark the records, commit, acknowledge.

Only how far the durable consumer has come matters: the records that changed up to there are found in the
index, which has them by their sequence. No body is opened.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

from bus import subjects
from bus.adapter import Sleep
from bus.errors import Unavailable
from bus.port import Bus, Consumer, Stored
from router.core.rules import DestinationRule
from router.steps import to_end
from router.store import Store

BATCH: Final = 1_000
RETRY_S: Final = 1.0


class Marker:
    """Follows CHANGES for one destination as the durable consumer of its name."""

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
        self._trouble = trouble
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
        consumer = await self._bus.consume(
            subjects.CHANGES, self._system, filters=self._filters, batch=BATCH, bodies=False
        )
        try:
            while True:
                batch = await consumer.next()
                await to_end(self._take(consumer, batch))
        finally:
            await consumer.close()

    async def _take(self, consumer: Consumer, batch: Sequence[Stored]) -> None:
        await self._store.reached("changes", batch[-1].seq)
        row = (self._system, self._now_ms(), batch[0].seq, batch[-1].seq, self._entities)
        await self._store.commit([self._store.write("mark", [row])])
        self.seq = batch[-1].seq
        self._marked()
        await consumer.ack(batch[-1])
