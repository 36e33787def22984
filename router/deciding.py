"""Step 1 of intake: decide a batch of events, before anything is written.

Finds the record that each event is about, gathers what the merge needs to know (what its system was given,
the terms on which owners depend), and collects all that follows: changes, audit, conflicts, corrections.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from bus import subjects
from bus.codec import encode_change
from bus.messages import AuditRecord, Change, Event, Op, Outcome, Record, Step
from bus.port import Message, Stored
from router.batch import Batch, Put, ToTell, Unmatched, set_aside
from router.core.acts import decide_date, decide_pick
from router.core.authority import NO_SPANS, Spans, next_instant
from router.core.hearing import hear
from router.core.held import NOTHING_GIVEN, Given, Told
from router.core.identity import references, resolve
from router.core.joining import JOINING, decide_joining
from router.core.linking import LINKING, decide_link
from router.core.merge import Decision
from router.core.rules import District, EntityRule
from router.core.values import in_order
from router.finding import ANOTHER, Finding
from router.gathering import Gathering, MayHave
from router.loose import Loose
from router.records import Links, LinksNow, Records, RecordsNow
from router.referrers import Referrers
from router.referring import Referring
from router.restores import Restores, limits
from router.spans import Spanning
from router.store import Store

STARTS_MAX: Final = 3
PORTION: Final = 100
"""Events that are read, looked up and decided together: as many as the processor's cache has room for (of a
thousand, each takes a fifth longer). Between two portions others have their turn: the batch before is on its
way to the disk.
"""


class Deciding:
    """Decides events by the rules of now. `look` it up, `merge` it, note what follows."""

    def __init__(
        self,
        *,
        store: Store,
        records: Records,
        links: Links,
        district: District,
        tokens: subjects.Tokens,
        epoch: int,
        now_ms: Callable[[], int],
        may_have: Mapping[str, MayHave],
    ) -> None:
        self._store = store
        self._records = RecordsNow(records)
        self._links = LinksNow(links)
        self._tokens = tokens
        self._epoch = epoch
        self._now_ms = now_ms
        self._may_have = may_have
        self._restores = Restores()
        self.standing: dict[str, int] = {}
        """By key the event of a record's newest change on CHANGES, while the index catches up."""
        self.district = district

    @property
    def district(self) -> District:
        """The rules it decides by. A new configuration is a new value here, between two batches."""
        return self._district

    @district.setter
    def district(self, district: District) -> None:
        self._district = district
        self._references = {name: references(rule) for name, rule in district.entities.items()}
        self._spanning = Spanning(district.entities, ZoneInfo(district.timezone))
        self._restores_max = limits(district)
        self._dated = {name: _is_dated(rule) for name, rule in district.entities.items()}
        self._sets = {
            name: tuple(field.name for field in rule.fields.values() if field.is_set)
            for name, rule in district.entities.items()
        }
        self._gathering = Gathering(self._records, self._links, district, self._may_have)
        self._finding = Finding(self._store, self._records, self._links, self._tokens, district.entities)
        self._referring = Referring(self._store, self._records, self._tokens, district.entities)
        self._loose = Loose(self._store, self._records, self._tokens, district.entities)
        self._referrers = Referrers(district)
        self.referred = {to for rules in self._references.values() for _, _, many in rules for to in many}

    def begin_anew(self) -> None:
        """What was decided last may not have been written: only what the index has is so."""
        self.build_on(None)
        self.district = self._district

    def build_on(self, batch: Batch | None) -> None:
        """What is decided next builds on a batch that is not in the index yet; None: it is."""
        self._records.beyond = batch.records if batch else {}
        self._links.beyond = batch.links if batch else {}

    async def decide(self, fresh: Sequence[Stored], decided: Sequence[tuple[Change, bytes]]) -> Batch:
        """All that these events come to. `decided`: changes that an earlier run published."""
        now_ms = self._now_ms()
        taken = {change.record.event_seq: (change, body) for change, body in decided}
        batch = Batch()
        known = {stored.seq for stored in fresh} if taken else ()
        # Those whose event is older than EVENTS keeps: the change says all.
        alone = [pair for seq, pair in taken.items() if seq not in known]
        batch.records.update(self._records.many([change.record.key for change, _ in alone]))
        for pair in alone:
            self._take(batch, *pair)
        for start in range(0, len(fresh), PORTION):
            parsed = self._gathering.parse(fresh[start : start + PORTION])
            self._gathering.load(batch, parsed)
            for stored, event in parsed:
                if stored.seq in taken:
                    self._take(batch, *taken[stored.seq], event)
                elif isinstance(event, str):
                    set_aside(batch, stored, event, now_ms)
                else:
                    await self._decide_one(batch, stored, event, now_ms)
            await asyncio.sleep(0)
        self._loose.heal(batch)
        return batch

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
            set_aside(batch, stored, f"bug: {type(error).__name__}", now_ms)

    # One event

    def _apply(self, batch: Batch, stored: Stored, event: Event, now_ms: int) -> None:
        rules = self._district.entities[event.entity]
        fields, unknown = resolve(event, self._references[event.entity], batch.links)
        if names := self._sets[event.entity]:
            fields = {**fields, **in_order(fields, names)}
        if fields is not event.fields:
            event = event._replace(fields=fields)
        key, candidates, why = self._finding.find(batch, event, rules, stored.seq)
        if key is None:
            self._unmatched(batch, stored, event, candidates, why, now_ms)
            return
        before = batch.records.get(key)
        decision = self._decision(batch, stored, event, key, before, rules)
        after = decision.record
        if self.standing.get(key, 0) > stored.seq:
            # A later change of the record stands, so this event was decided before it: without a change, by
            # the rules of then, or with one that CHANGES has let go. That change has it.
            decision, after = decision._replace(makes_change=False, owed=False, conflicts=()), None
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
                self._changed(batch, before, after)
            else:
                batch.seen[key] = after
        batch.audit.append(self._audited(stored, event, key, decision, reason, now_ms))
        if decision.conflicts or decision.owed or event.act or self._dated[event.entity]:
            self._follows(batch, stored, event, decision, key, now_ms)

    def _decision(
        self, batch: Batch, stored: Stored, event: Event, key: str, before: Record | None, rules: EntityRule
    ) -> Decision:
        if event.op in LINKING:
            return decide_link(before, event, stored.seq, rules.owner)
        if event.op in JOINING:
            other = self._finding.one(batch, str(event.act.get("other", "")))
            known = (self._finding.ids_of(batch, before), self._finding.ids_of(batch, other))
            return decide_joining(before, other, event, rules, stored.seq, known)
        given: Given = batch.given.get((event.system, key), NOTHING_GIVEN) if batch.given else NOTHING_GIVEN
        if event.op is Op.PICK:
            return decide_pick(before, event, rules, stored.seq)
        spans = self._spans(batch, event, before) if self._dated[event.entity] else NO_SPANS
        if event.op is Op.DATE:
            return decide_date(before, event, rules, stored.seq, spans)
        return hear(before, event, key, rules, stored.seq, Told(given, spans))

    def _spans(self, batch: Batch, event: Event, before: Record | None) -> Spans:
        values = {**(before.values if before else {}), **event.fields}
        return self._spanning.of(event.entity, values, lambda keys: self._finding.look(batch, keys))

    def _audited(
        self, stored: Stored, event: Event, key: str, decision: Decision, reason: str, now_ms: int
    ) -> AuditRecord:
        record = decision.record
        return AuditRecord(
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
            rev=record.rev if record and decision.makes_change else 0,
            seq=stored.seq,
            event_id=event.id,
            observed_at_ms=event.observed_at_ms,
            read=event.read,
            who=str(event.act.get("who", "")),
            traceparent=event.traceparent,
            by_field=tuple([(name, str(each)) for name, each in decision.by_field.items()])
            if len(decision.by_field) > 1
            else (),
        )

    def _unmatched(
        self,
        batch: Batch,
        stored: Stored,
        event: Event,
        candidates: tuple[str, ...],
        reason: str,
        now_ms: int,
    ) -> None:
        """Nobody can tell which record it is: it waits for one that matches, or for a person."""
        name = (event.system, event.entity, event.local_id)
        if event.op is Op.DELETE:
            reason, outcome = "there is no such record", Outcome.UNCHANGED
            batch.matched[name] = stored.seq
            batch.unmatched.pop(name, None)
        elif self._finding.is_dismissed(batch, name):
            reason, outcome = "a person has dismissed it", Outcome.DISMISSED
            batch.dismissed[name] = (stored.seq, stored.body)
        else:
            outcome = Outcome.UNMATCHED
            batch.matched.pop(name, None)
            tokens = self._finding.tokens_of(event)
            said = (name, stored.seq, now_ms, tokens, candidates, stored.body)
            batch.unmatched[name] = Unmatched(*said, reused=reason.startswith(ANOTHER))
        decision = Decision(outcome, None, False, event.op)
        batch.audit.append(self._audited(stored, event, "", decision, reason, now_ms))

    # What follows

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
            decision.conflicts,
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

    def _changed(self, batch: Batch, before: Record | None, after: Record) -> None:
        """What the crosswalk says of a record that has changed, whether it refers to what is not there, and
        whether dates of others move with it.
        """
        self._finding.linked(batch, before, after)
        if self._references[after.entity]:
            self._loose.note(batch, before, after)
            self._referrers.note(batch, before, after)
        if before is not None and self._spanning.moves(before, after):
            batch.moved[after.key] = None

    def _follows(
        self, batch: Batch, stored: Stored, event: Event, decision: Decision, key: str, now_ms: int
    ) -> None:
        """Conflicts are told, the system that does not have the record's values is to be corrected."""
        for number, conflict in enumerate(decision.conflicts):
            batch.conflicts.append(ToTell(f"conflict/{stored.seq}.{number}", conflict, now_ms))
        if event.act and decision.outcome is not Outcome.REFUSED:
            self._acted(batch, event, key, stored.seq)
        if decision.owed and event.system in self._restores_max:
            most = self._restores_max[event.system]
            if self._restores.allows(event.system, key, most, now_ms):
                batch.puts.append(Put(event.system, key, f"restore.{stored.seq}"))
            else:
                batch.bouncing.append((event.system, event.entity))
        if decision.record is not None:
            self._timed(batch, decision.record, key, event.observed_at_ms)

    def _timed(self, batch: Batch, record: Record, key: str, at_ms: int) -> None:
        """When to look at it again. From the event's time on: what came due meanwhile is said in order."""
        if self._dated[record.entity]:
            look = partial(self._finding.look, batch)
            spans = self._spanning.of(record.entity, record.values, look)
            batch.instants[key] = next_instant(self._district.entities[record.entity], at_ms, spans) or 0

    def _acted(self, batch: Batch, event: Event, key: str, seq: int) -> None:
        """What a person's decision means for other records, and for what waits."""
        if event.op is Op.PICK:
            batch.picked += [(key, name) for name in event.fields]
        elif event.op in LINKING:
            about = (str(event.act.get("system", "")), event.entity, str(event.act.get("local_id", "")))
            self._finding.answered(batch, event, about, seq)
        elif event.op in (Op.MERGE, Op.SPLIT):
            batch.again += self._referring.follow(batch, event, seq)

    def _take(self, batch: Batch, change: Change, body: bytes, event: Event | str = "") -> None:
        """A change that was published by a run which did not live to commit it."""
        record = change.record
        before = batch.records.get(record.key)
        batch.taken.append((change, body))
        batch.records[record.key] = record
        batch.seen.pop(record.key, None)
        self._changed(batch, before, record)
        if isinstance(event, Event):
            self._acted(batch, event, record.key, record.event_seq)
        self._timed(batch, record, record.key, change.observed_at_ms)
        local_id = record.links.get(change.system, "")
        for number, conflict in enumerate(change.conflicts):
            told = ToTell(f"conflict/{record.event_seq}.{number}", conflict, change.decided_at_ms)
            batch.conflicts.append(told)
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


def _is_dated(rules: EntityRule) -> bool:
    return bool(rules.owners) or any(field.owners for field in rules.fields.values())
