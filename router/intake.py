"""EVENTS -> merge -> CHANGES, in batches, in an order of steps that a crash anywhere cannot break:

1. decide                         nothing is written yet
2. publish the changes            each with its decision; the streams are the truth
3. commit the index               records, crosswalk, what was seen, position, and the outbox
4. publish the outbox             audit, alerts
5. acknowledge the events

A change that stands on CHANGES but not in the index is taken as it was decided, never decided again.

While a batch is in steps 2 and 3, which is mostly waiting for disks, the next one is decided already, on top
of it. Nothing of that one is written before the first stands in the index; if the first does not get there,
what was decided on top of it is dropped.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from bus import subjects
from bus.adapter import Sleep
from bus.codec import decode_change
from bus.errors import Garbage, StreamFull, Unavailable, WrongSequence, YellowbusError
from bus.messages import Change, Record
from bus.port import Bus, Consumer, Stored
from router.batch import Ahead, Batch
from router.core.rules import District
from router.decided import batch_alerts, conflict_messages, index, unmatched_messages
from router.deciding import Deciding
from router.gathering import MayHave, is_plain
from router.hourly import Hourly
from router.outbox import Outbox, Then, audit_messages
from router.records import Links, Records
from router.steps import to_end
from router.store import Store

BATCH: Final = 1_000
OUTBOX_MAX: Final = 5_000
OTHER_WRITER_MAX: Final = 3
RETRY_S: Final = 1.0

Saved = Mapping[str, tuple[Record, bytes]]
"""By key the records that changed, with their bodies on CHANGES."""


class Intake:
    """Decides what is true. One of it per district, and nothing else writes CHANGES."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: Store,
        outbox: Outbox,
        records: Records,
        links: Links,
        district: District,
        tokens: subjects.Tokens,
        epoch: int,
        now_ms: Callable[[], int],
        sleep: Sleep,
        committed: Callable[[], None],
        trouble: Callable[[str], None],
        may_have: Mapping[str, MayHave],
    ) -> None:
        self._bus = bus
        self._store = store
        self._outbox = outbox
        self._records = records
        self._links = links
        self._tokens = tokens
        self._now_ms = now_ms
        self._sleep = sleep
        self._committed = committed
        self._trouble = trouble
        self._deciding = Deciding(
            store=store,
            records=records,
            links=links,
            district=district,
            tokens=tokens,
            epoch=epoch,
            now_ms=now_ms,
            may_have=may_have,
        )
        self._writing: asyncio.Future[Saved] | None = None
        self._builds_on: Batch | None = None
        self._decided_seq = 0
        self._passed_over = 0
        self.events = 0

    async def run(self) -> None:
        """Settle every event, for ever. Raises YellowbusError if there is another writer of CHANGES."""
        mismatches = 0
        while True:
            events = self.events
            try:
                self._deciding.begin_anew()
                await self.catch_up()
                await self.follow()
            except WrongSequence as error:
                mismatches = mismatches + 1 if events == self.events else 1
                if mismatches >= OTHER_WRITER_MAX:
                    raise YellowbusError(
                        f"CHANGES: {error.message}. Another router writes for this district."
                        " Nothing was overwritten; stop one of the two.",
                        runbook="two-routers",
                    ) from None
            except (Unavailable, StreamFull) as error:
                self._trouble(str(error))
                await self._sleep(RETRY_S)

    async def catch_up(self) -> None:
        """Settle what an earlier run left: take changes beyond the index, decide events beyond it."""
        first_seq = self._store.position("changes") + 1
        async for change, _ in self._changes_from(first_seq):
            self._deciding.standing[change.record.key] = change.record.event_seq
        changes = Ahead(self._changes_from(first_seq))
        async for batch in self._bus.read(subjects.EVENTS, first_seq=self._store.position("events") + 1):
            await self.settle(batch, await changes.until(batch[-1].seq))
        while left := await changes.until(None, BATCH):
            await self.settle([], left)
        self._deciding.standing.clear()
        if self._passed_over > self._store.position("changes"):
            # Destinations wait for the index to be as far as what they were told of.
            await self._store.commit([self._store.write("save_positions", [("changes", self._passed_over)])])

    async def _changes_from(self, seq: int) -> AsyncIterator[tuple[Change, bytes]]:
        async for batch in self._bus.read(subjects.CHANGES, first_seq=seq):
            for stored in batch:
                try:
                    change = decode_change(stored.body, stored.seq, stored.traceparent)
                except Garbage as error:  # whoever else may write there wrote it
                    self._trouble(f"CHANGES {stored.seq}: {error}. It is passed over")
                    self._passed_over = stored.seq
                else:
                    yield change, stored.body

    async def follow(self) -> None:
        """Settle what comes, for ever. Raises Unavailable, StreamFull, WrongSequence."""
        consumer = await self._bus.consume(subjects.EVENTS, subjects.INTAKE, batch=BATCH)
        try:
            while True:
                if not consumer.waiting:
                    await to_end(self._written())
                batch = await consumer.next()
                await to_end(self._take_batch(consumer, batch))
        finally:
            with contextlib.suppress(YellowbusError):
                await to_end(self._written())
            await consumer.close()

    async def _take_batch(self, consumer: Consumer, batch: Sequence[Stored]) -> None:
        await self._begin(batch, then=lambda: consumer.ack(batch[-1]))

    async def settle(self, events: Sequence[Stored], decided: Sequence[tuple[Change, bytes]] = ()) -> None:
        """Bring a batch of events to the end of step 3.

        `decided`: changes the index does not have yet. Events at or below the index's position are settled
        already and passed over.
        """
        await self._begin(events, decided)
        await self._written()

    async def _begin(
        self,
        events: Sequence[Stored],
        decided: Sequence[tuple[Change, bytes]] = (),
        then: Then | None = None,
    ) -> None:
        """Step 1 of a batch, and the beginning of step 2; `_written` waits for the end of step 3. Steps 4 and
        5 (`then`) follow beside the next batch.
        """
        settled = max(self._store.position("events"), self._decided_seq)
        fresh = [stored for stored in events if stored.seq > settled]
        if not fresh and not decided:
            await self._written()
            if then is not None:
                await then()
            return
        if self._builds_on and not (self._builds_on.is_plain and all(map(is_plain, fresh))):
            await self._written()
        batch = await self._deciding.decide(fresh, decided)
        batch.comes_after(await self._written())
        self._builds_on = batch
        self._decided_seq = fresh[-1].seq if fresh else settled
        self._deciding.build_on(batch)
        self._writing = asyncio.ensure_future(self._write(batch, fresh, then))

    async def _written(self) -> Saved:
        """The end of step 3 of the batch that is on its way, if one is. Raises what hindered it."""
        if self._writing is None:
            return {}
        writing, self._writing, self._builds_on = self._writing, None, None
        self._decided_seq = 0
        try:
            return await writing
        finally:
            self._deciding.build_on(None)

    async def _write(self, batch: Batch, fresh: Sequence[Stored], then: Then | None) -> Saved:
        """Steps 2 and 3; hands over to steps 4 and 5."""
        published = await self._bus.publish(subjects.CHANGES, batch.messages) if batch.messages else []
        now_ms = self._now_ms()
        alerts = batch_alerts(batch, Hourly(self._store, now_ms), now_ms)
        letters = self._outbox.put(
            [
                *audit_messages(batch.audit),
                *conflict_messages(batch.conflicts),
                *unmatched_messages(batch, self._tokens, self._store.unmatched(batch.matched)),
                *alerts.messages,
                *batch.again,
            ]
        )
        saved = batch.saved(published)
        position = [("events", fresh[-1].seq)] if fresh else []
        await self._store.commit(
            [*index(self._store, batch, saved, position, now_ms), *alerts.writes, *letters.writes],
        )
        self._records.put({record.key: record for record, _ in saved.values()})
        self._records.put({key: record for key, record in batch.seen.items() if key not in saved})
        # Only what others refer to: every enrollment has a link, and nobody asks for it.
        self._links.put(
            {name: key for name, key in batch.new_links.items() if name[1] in self._deciding.referred}
        )
        self._links.forget(batch.gone_links)
        self.events += len(fresh)
        self._committed()
        told = letters.send(then)
        if self._outbox.waiting > OUTBOX_MAX:  # the bus does not take what we say: decide nothing more
            await told
        return saved
