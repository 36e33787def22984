"""EVENTS -> merge -> CHANGES, in batches, in an order of steps that a crash anywhere cannot break:

1. decide                         nothing is written yet
2. publish the changes            each with its decision; the streams are the truth
3. commit the index               records, crosswalk, what was seen, position, and the outbox
4. publish the outbox             audit, alerts
5. acknowledge the events

A change that stands on CHANGES but not in the index is taken as it was decided, never decided again.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final

from bus import subjects
from bus.adapter import Sleep
from bus.codec import decode_change, decode_event, encode_change, encode_seen
from bus.errors import Garbage, StreamFull, Unavailable, WrongSequence, YellowbusError
from bus.messages import AuditRecord, Change, Event, Outcome, Record, Step
from bus.port import Bus, Consumer, Message, Stored
from router.alerts import Seldom, alert_message
from router.batch import Ahead, Batch
from router.core.identity import LinkName, key_for, named, references, resolve
from router.core.merge import Decision, merge
from router.core.rules import District
from router.database import Write
from router.outbox import Outbox, Then, audit_messages
from router.records import Links, Records
from router.steps import to_end
from router.store import Store

BATCH: Final = 1_000
OUTBOX_MAX: Final = 5_000
STARTS_MAX: Final = 3
OTHER_WRITER_MAX: Final = 3
RETRY_S: Final = 1.0


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
    ) -> None:
        self._bus = bus
        self._store = store
        self._outbox = outbox
        self._records = records
        self._links = links
        self._tokens = tokens
        self._epoch = epoch
        self._now_ms = now_ms
        self._sleep = sleep
        self._committed = committed
        self._trouble = trouble
        self._standing: dict[str, int] = {}
        self._passed_over = 0
        self.events = 0
        self.district = district

    @property
    def district(self) -> District:
        """The rules it decides by. A new configuration is a new value here, between two batches."""
        return self._district

    @district.setter
    def district(self, district: District) -> None:
        self._district = district
        self._references = {name: references(rule) for name, rule in district.entities.items()}
        self._referred = {to for rules in self._references.values() for _, _, many in rules for to in many}

    async def run(self) -> None:
        """Settle every event, for ever. Raises YellowbusError if there is another writer of CHANGES."""
        mismatches = 0
        while True:
            events = self.events
            self._seldom = Seldom()  # alerts of a batch that failed were not told
            try:
                await self.catch_up()
                await self._follow()
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
            self._standing[change.record.key] = change.record.event_seq
        changes = Ahead(self._changes_from(first_seq))
        async for batch in self._bus.read(subjects.EVENTS, first_seq=self._store.position("events") + 1):
            await self.settle(batch, await changes.until(batch[-1].seq))
        while left := await changes.until(None, BATCH):
            await self.settle([], left)
        self._standing.clear()
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

    async def _follow(self) -> None:
        consumer = await self._bus.consume(subjects.EVENTS, subjects.INTAKE, batch=BATCH)
        try:
            while True:
                batch = await consumer.next()
                await to_end(self._take_batch(consumer, batch))
        finally:
            await consumer.close()

    async def _take_batch(self, consumer: Consumer, batch: Sequence[Stored]) -> None:
        await self.settle(batch, then=lambda: consumer.ack(batch[-1]))

    async def settle(
        self,
        events: Sequence[Stored],
        decided: Sequence[tuple[Change, bytes]] = (),
        then: Then | None = None,
    ) -> None:
        """Bring a batch of events to the end of step 3; steps 4 and 5 (`then`) follow beside the next batch.

        `decided`: changes the index does not have yet. Events at or below the index's position are settled
        already and passed over.
        """
        fresh = [stored for stored in events if stored.seq > self._store.position("events")]
        if not fresh and not decided:
            if then is not None:
                await then()
            return
        batch = await self._decide(fresh, decided)
        published = await self._bus.publish(subjects.CHANGES, batch.messages) if batch.messages else []
        letters = self._outbox.put([*audit_messages(batch.audit), *batch.alerts])
        saved = batch.saved(published)
        position = [("events", fresh[-1].seq)] if fresh else []
        await self._store.commit(
            [*self._index(batch, saved, position), *letters.writes],
        )
        self._records.put({record.key: record for record, _ in saved.values()})
        self._records.put({key: record for key, record in batch.seen.items() if key not in saved})
        # Only what others refer to: every enrollment has a link, and nobody asks for it.
        self._links.put({name: key for name, key in batch.new_links.items() if name[1] in self._referred})
        self.events += len(fresh)
        self._committed()
        told = letters.send(then)
        if self._outbox.waiting > OUTBOX_MAX:  # the bus does not take what we say: decide nothing more
            await told

    # Step 1: decide

    async def _decide(self, fresh: Sequence[Stored], decided: Sequence[tuple[Change, bytes]]) -> Batch:
        now_ms = self._now_ms()
        taken = {change.record.event_seq: (change, body) for change, body in decided}
        parsed = [(stored, self._parse(stored)) for stored in fresh]
        batch = self._load([event for _, event in parsed if isinstance(event, Event)])
        known = {stored.seq for stored in fresh}
        for seq, pair in taken.items():
            if seq not in known:  # the event is older than EVENTS keeps; the change says all
                self._take(batch, *pair)
        for stored, event in parsed:
            if stored.seq in taken:
                self._take(batch, *taken[stored.seq])
            elif isinstance(event, str):
                self._set_aside(batch, stored, event, now_ms)
            else:
                await self._decide_one(batch, stored, event, now_ms)
        return batch

    def _parse(self, stored: Stored) -> Event | str:
        """The event in a message, or why it is none."""
        try:
            event = decode_event(stored.body, stored.traceparent)
        except Garbage as error:
            return error.message
        if event.entity not in self._district.entities:
            return "an entity that the configuration does not know"
        if event.system not in self._district.systems:
            return "a system that the configuration does not know"
        if subjects.event(event.system, event.entity, event.op) != stored.subject:
            return "its subject names another system, entity or operation"
        # A clock that runs ahead must not make everything after it look stale (design: clamped).
        late = event.observed_at_ms > stored.at_ms
        return event._replace(observed_at_ms=stored.at_ms) if late else event

    def _load(self, events: Sequence[Event]) -> Batch:
        wanted: dict[LinkName, None] = {}
        maybe: dict[LinkName, None] = {}
        for event in events:
            wanted[event.system, event.entity, event.local_id] = None
            names = named(event, self._references[event.entity])
            if any(self._links.get(name) is None for name in names):
                maybe.update(dict.fromkeys(names))
            else:
                wanted.update(dict.fromkeys(names))
        links = self._links.many([*wanted, *maybe])
        keys = {
            links.get((event.system, event.entity, event.local_id)) or f"{event.entity}/{event.local_id}"
            for event in events
        }
        return Batch(links, self._records.many(keys), keys)

    async def _decide_one(self, batch: Batch, stored: Stored, event: Event, now_ms: int) -> None:
        try:
            self._apply(batch, stored, event, now_ms)
        except Exception as error:
            # A bug of ours. It stops the router, so that it is seen; the third time it is set aside, so that
            # one event does not stop the district.
            starts = self._store.read("setbacks", subjects.EVENTS, stored.seq)
            if not starts or starts[0][0] + 1 < STARTS_MAX:
                row = [(subjects.EVENTS, stored.seq, 1)]
                await self._store.commit([self._store.write("save_setback", row)])
                raise
            self._set_aside(batch, stored, f"bug: {type(error).__name__}", now_ms)

    def _apply(self, batch: Batch, stored: Stored, event: Event, now_ms: int) -> None:
        link = (event.system, event.entity, event.local_id)
        rules = self._district.entities[event.entity]
        fields, unknown = resolve(event, self._references[event.entity], batch.links)
        key = batch.links.get(link) or key_for(event, lambda key: self._taken(batch, key))
        before = batch.records.get(key)
        decision = merge(before, event._replace(fields=fields), key, rules, stored.seq)
        after = decision.record
        if self._standing.get(key, 0) > stored.seq:
            # A later change of the record stands, so this event was decided before it: without a change, by
            # the rules of then, or with one that CHANGES has let go. That change has it.
            decision, after = decision._replace(makes_change=False), None
        made = None
        if after is not None and decision.makes_change:
            made = self._change(batch, event, stored, decision, after, now_ms)
        reason = decision.reason
        if unknown:
            reason = f"{reason}; " * bool(reason) + f"refers to something unknown: {', '.join(unknown)}"
        # From here on nothing raises: an event is in the batch with all of it, or not at all.
        if after is not None and after is not before:
            batch.records[key] = after
            if made:
                batch.add(*made)
                self._link(batch, after)
            else:
                batch.seen[key] = after
        batch.audit.append(
            AuditRecord(
                f"event/{stored.seq}",
                Step.EVENT,
                decision.outcome,
                now_ms,
                source=event.system,
                entity=event.entity,
                key=key,
                local_id=event.local_id,
                op=decision.op,
                fields=decision.changed + decision.refused,
                reason=reason,
                rev=after.rev if after and decision.makes_change else 0,
                seq=stored.seq,
                event_id=event.id,
                observed_at_ms=event.observed_at_ms,
                read=event.read,
                traceparent=event.traceparent,
            )
        )

    def _taken(self, batch: Batch, key: str) -> bool:
        if key in batch.asked:  # looked up with the batch
            return key in batch.records
        return bool(self._records.many([key]))

    def _change(
        self, batch: Batch, event: Event, stored: Stored, decision: Decision, after: Record, now_ms: int
    ) -> tuple[Change, Message]:
        change = Change(
            after,
            decision.op,
            event.id,
            event.system,
            decision.outcome,
            decision.refused,
            now_ms,
            event.observed_at_ms,
            event.traceparent,
        )
        message = Message(
            subjects.change(after.entity, self._tokens(after.key)),
            encode_change(change),
            f"{self._epoch}.{stored.seq}",
            # Within an atomic batch only the first message of a subject is compared (10164).
            None if after.key in batch.changed else after.seq,
            event.traceparent,
        )
        return change, message

    def _link(self, batch: Batch, record: Record) -> None:
        for system, local_id in record.links.items():
            name = (system, record.entity, local_id)
            if batch.links.get(name) != record.key:
                batch.links[name] = batch.new_links[name] = record.key

    def _take(self, batch: Batch, change: Change, body: bytes) -> None:
        """A change that was published by a run which did not live to commit it."""
        record = change.record
        batch.taken.append((change, body))
        batch.records[record.key] = record
        batch.seen.pop(record.key, None)
        self._link(batch, record)
        local_id = record.links.get(change.system, "")
        batch.audit.append(
            AuditRecord(
                f"event/{record.event_seq}",
                Step.EVENT,
                change.outcome,
                change.decided_at_ms,
                source=change.system,
                entity=record.entity,
                key=record.key,
                local_id=local_id,
                op=change.op,
                fields=record.changed + change.refused,
                rev=record.rev,
                seq=record.event_seq,
                event_id=change.event_id,
                observed_at_ms=change.observed_at_ms,
                traceparent=change.traceparent,
            )
        )

    def _set_aside(self, batch: Batch, stored: Stored, reason: str, now_ms: int) -> None:
        """Not one of our events, or one that we cannot handle: settled as invalid, told, kept on EVENTS."""
        _, system, entity, op, *_ = [*stored.subject.split("."), "", "", ""]
        batch.audit.append(
            AuditRecord(
                f"event/{stored.seq}",
                Step.EVENT,
                Outcome.INVALID,
                now_ms,
                source=system,
                entity=entity,
                op=op,
                reason=reason,
                seq=stored.seq,
                event_id=stored.id,
                traceparent=stored.traceparent,
            )
        )
        if self._seldom.due(system, now_ms):
            batch.alerts.append(self._alert(stored, system, reason, now_ms))

    def _alert(self, stored: Stored, system: str, reason: str, now_ms: int) -> Message:
        text = f"EVENTS {stored.seq}: {reason}. It is set aside and kept on the stream; the rest goes on."
        return alert_message("invalid-event", system, f"event/{stored.seq}", now_ms, text)

    # Step 3: the index

    def _index(
        self,
        batch: Batch,
        saved: Mapping[str, tuple[Record, bytes]],
        position: Iterable[tuple[str, int]],
    ) -> list[Write]:
        store = self._store
        taken = [change.record.seq for change, _ in batch.taken]
        newest = max([record.seq for record, _ in saved.values()] + taken, default=0)
        return [
            store.write(
                "save_records",
                [(key, record.entity, record.rev, record.seq, body) for key, (record, body) in saved.items()],
            ),
            store.write("save_seen", [(key, encode_seen(record.seen)) for key, record in batch.seen.items()]),
            store.write("save_links", [(*name, key) for name, key in batch.new_links.items()]),
            store.write("save_positions", [*position, *([("changes", newest)] if newest else [])]),
        ]
