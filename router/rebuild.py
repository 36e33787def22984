"""Make the index again from the streams: they are the truth, and it is only an index of them.

CHANGES gives the records and the crosswalk, AUDIT how far events are settled, what destinations hold, and
the conflicts, STATE the ids that destinations gave and what waits unmatched, EVENTS what systems said since
without changing anything. Pages are read one after the other, so memory does not grow with the streams.
Nothing is published.

AUDIT is kept for a time only: what a destination holds since longer ago than that is not known any more, so
it is put on the work list, and sent again (under the id that STATE has of it: an account is not made twice).
What a system that tells us too was given and has not taken up is not known either: its claims are compared
with what it said.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from bus import subjects
from bus.codec import decode_audit, decode_change, decode_conflict, decode_event, encode_seen, unpack
from bus.errors import Garbage, YellowbusError
from bus.messages import AuditRecord, Event, Outcome, Record, Step
from bus.port import Bus, Stored
from router.core.authority import next_instant
from router.core.hearing import hear
from router.core.identity import found_by, hub_text, match_texts, named, references, resolve
from router.core.rules import DestinationRule, District
from router.core.voices import names_of
from router.database import Database, Write
from router.decided import ASKED, entity_of
from router.delivery.failures import unmended
from router.delivery.leaving import SwitchedOff
from router.delivery.marker import position_of
from router.gaps import Gaps
from router.loose import loose_in
from router.modes import position_of as live_position
from router.replay.kept import POSITION as KEPT_FROM
from router.replay.kept import kept_from_ms
from router.replay.marks import known
from router.restored import restore
from router.spans import Spanning
from router.store import SCHEMA, Store, named_queries

QUERIES: Final = named_queries(Path(__file__).with_name("rebuild.sql"))

LedgerRow = tuple[str, str, int, int, int, str, str, int]
"""destination, key, rev, epoch, seq, hash, local_id: as in the table."""


class Rebuilt(NamedTuple):
    """What the new index has. `foreign`: messages on the streams that are none of ours, passed over."""

    events: int
    changes: int
    records: int
    seen: int
    links: int
    ledger: int
    work: int
    foreign: int


class Rebuild:
    """Fills an empty index. Made new for each."""

    def __init__(self, bus: Bus, database: Database, district: District, epoch: int, now_ms: int) -> None:
        self._bus = bus
        self._database = database
        self._store = Store(database)
        self._district = district
        self._epoch = epoch
        self._now_ms = now_ms
        self._kept_ms = kept_from_ms(now_ms)
        self._is_older = False
        self._references = {name: references(rule) for name, rule in district.entities.items()}
        self._tokens = subjects.Tokens(district.key)
        self._foreign = 0

    async def run(self) -> Rebuilt:
        """All of it. Raises Unavailable, and YellowbusError for an index that is not empty."""
        if self._store.position("schema"):
            raise YellowbusError("rebuild: the new index is not empty. Remove it, and start again")
        events = await self._settled()
        changes = await self._records(events)
        await self._crosswalk()
        live = await self._approved()
        await self._delivered()
        await self._store.commit([Write(QUERIES["save_failed"], await unmended(self._bus))])
        await self._own_ids()
        await self._seen(events)
        await self._found_by()
        await self._conflicts()
        await self._unmatched(events)
        await restore(self._bus, self._store)
        await self._mark(live)
        positions = [("events", events), ("changes", changes), ("epoch", self._epoch), ("schema", SCHEMA)]
        positions += [(live_position(system), at_ms) for system, (at_ms, _) in live.items()]
        positions += [(KEPT_FROM, self._kept_ms)] if self._is_older else []
        positions += [(position_of(system), changes) for system in self._destinations() if changes]
        positions += [(known(system), 1) for system in self._destinations()]
        await self._store.commit([self._store.write("save_positions", positions)])
        records, seen, links, ledger, work = self._database.read(QUERIES["counts"])[0]
        return Rebuilt(events, changes, records, seen, links, ledger, work, self._foreign)

    # AUDIT: what is settled

    async def _settled(self) -> int:
        """Up to which EVENTS sequence everything is settled."""
        info = await self._bus.info(subjects.EVENTS)
        gaps = Gaps(info.first_seq - 1)
        async for page in self._bus.read(subjects.AUDIT, subject="audit.event.>"):
            for record in self._audited(page):
                gaps.saw(record.seq)
        # The audit of a step may have been cut off between two messages: what it does not settle is decided
        # again by the router's start, and with it what follows, told or not: an index has one position. What
        # is told twice has the same id both times. A sequence that EVENTS does not have is no gap.
        for first, last in gaps.left:
            async for events in self._bus.read(subjects.EVENTS, first_seq=first, last_seq=last):
                return events[0].seq - 1
        return min(gaps.high, info.last_seq)

    def _audited(self, page: Sequence[Stored]) -> list[AuditRecord]:
        found: list[AuditRecord] = []
        for stored in page:
            try:
                found += decode_audit(stored.body)
            except Garbage:
                self._foreign += 1
        return found

    async def _delivered(self) -> None:
        """The ledger."""
        off = SwitchedOff({name: each.entities for name, each in self._destinations().items()})
        for step in (Step.DELIVERY, Step.PUT):  # a put is of the newest rev that was settled then
            async for page in self._bus.read(subjects.AUDIT, subject=f"audit.{step}.>"):
                await self._ledger(off.noted(self._audited(page)))
        await self._store.commit([Write(QUERIES["switched_off_again"], off.rows)])

    async def _ledger(self, records: Sequence[AuditRecord]) -> None:
        rows: dict[tuple[str, str], LedgerRow] = {}
        for each in records:
            name = (each.destination, each.key)
            epoch, seq, since_ms = each.epoch, each.seq, each.at_ms
            held = rows.get(name)
            hash_, local_id = each.hash, each.local_id
            if each.outcome in (Outcome.FAILED, Outcome.DISCARDED):  # it holds what it held
                held = held or self._held(name)
                epoch, seq = (held[3], held[4]) if held else (0, 0)
                if each.outcome is Outcome.DISCARDED:
                    hash_, local_id = held[5:7] if held else ("", "")
            if held and held[5] == hash_:
                since_ms = held[7]
            rows[name] = (*name, each.rev, epoch, seq, hash_, local_id, since_ms)
        late = [each for each in records if each.at_ms >= self._kept_ms]
        ended = [(each.destination, each.key, each.at_ms, each.outcome is Outcome.DELIVERED) for each in late]
        await self._store.commit(
            [Write(QUERIES["save_settled"], list(rows.values())), Write(QUERIES["ended_again"], ended)]
        )

    def _held(self, name: tuple[str, str]) -> LedgerRow | None:
        found = self._database.read(QUERIES["held"], name)
        return (*name, *found[0]) if found else None

    # CHANGES: the records

    async def _records(self, events: int) -> int:
        """Records and crosswalk as decided by the events up to that one; returns the CHANGES sequence.

        Changes of later events are left: the router's start takes them together with their events.
        """
        newest = 0
        async for page in self._bus.read(subjects.CHANGES):
            rows: dict[str, tuple[str, str, int, int, bytes]] = {}
            changed: list[tuple[int, str]] = []
            for stored in page:
                record = self._record(stored)
                if record is None:
                    continue
                if record.event_seq > events:
                    await self._save(rows, changed)
                    return newest
                newest = record.seq
                rows[record.key] = (record.key, record.entity, record.rev, record.seq, stored.body)
                if stored.at_ms >= self._kept_ms:
                    changed.append((record.seq, record.key))
                else:
                    self._is_older = True
            await self._save(rows, changed)
        return newest

    def _record(self, stored: Stored) -> Record | None:
        try:
            return decode_change(stored.body, stored.seq).record
        except Garbage:
            self._foreign += 1
            return None

    async def _save(
        self, rows: dict[str, tuple[str, str, int, int, bytes]], changed: list[tuple[int, str]]
    ) -> None:
        write = self._store.write
        await self._store.commit([write("save_records", list(rows.values())), write("save_changed", changed)])

    async def _crosswalk(self) -> None:
        """The ids that records have now. An id may have gone from one record to another, and come back."""
        async for records in self._pages():
            names = [(*name, record.key) for record in records for name in sorted(names_of(record))]
            await self._store.commit([self._store.write("save_links", names)])

    async def _pages(self) -> AsyncIterator[list[Record]]:
        after = 0
        while rows := self._database.read(QUERIES["keys_after"], (after,)):
            after = rows[-1][0]
            yield list(self._store.records([key for _, key in rows]).values())

    # STATE: ids that destinations gave

    async def _own_ids(self) -> None:
        async for page in self._bus.read(subjects.STATE, subject="state.link.>"):
            rows, links = [], []
            for stored in page:
                try:
                    said = unpack(stored.body)
                    system, key, local_id = said["system"], said["key"], said["local_id"]
                except (Garbage, KeyError):
                    self._foreign += 1
                    continue
                rows.append((system, key, local_id))
                entity = entity_of(key)
                rule = self._district.entities.get(entity)
                if rule is not None and system in rule.two_way:  # it speaks of the record by that id
                    links.append((system, entity, local_id, key))
            await self._store.commit(
                [Write(QUERIES["save_own_ids"], rows), Write(QUERIES["add_links"], links)]
            )

    # STATE: what is live by approval

    async def _approved(self) -> dict[str, tuple[int, str]]:
        """By system when a person let it go live, and the report that the person looked at."""
        found = {}
        async for page in self._bus.read(subjects.STATE, subject="state.live.>"):
            for stored in page:
                try:
                    said = unpack(stored.body)
                    found[str(said["system"])] = (int(said["at_ms"]), str(said["report"]))
                except (Garbage, KeyError):
                    self._foreign += 1
        return found

    # EVENTS: what was said since

    async def _seen(self, until: int) -> None:
        """What systems said of records after their newest change: it decides what is stale, and refused."""
        async for page in self._events(until):
            links = self._store.links(
                [
                    name
                    for event, _ in page
                    for name in (
                        (event.system, event.entity, event.local_id),
                        *named(event, self._references[event.entity]),
                    )
                ]
            )
            keys = {links.get((event.system, event.entity, event.local_id), "") for event, _ in page} - {""}
            records = self._store.records(list(keys))
            said: dict[str, Record] = {}
            for event, seq in page:
                key = links.get((event.system, event.entity, event.local_id), "")
                before = said.get(key) or records.get(key)
                if before is None or seq <= before.event_seq:
                    continue
                fields, _ = resolve(event, self._references[event.entity], links)
                rules = self._district.entities[event.entity]
                after = hear(before, event._replace(fields=fields), key, rules, seq).record
                if after is not None and after is not before:
                    said[key] = before._replace(seen=after.seen)
            rows = [(key, encode_seen(record.seen)) for key, record in said.items()]
            await self._store.commit([self._store.write("save_seen", rows)])

    async def _events(self, until: int) -> AsyncIterator[list[tuple[Event, int]]]:
        if not until:
            return
        async for page in self._bus.read(subjects.EVENTS, last_seq=until):
            found = []
            for stored in page:
                try:
                    event = decode_event(stored.body)
                except Garbage:
                    continue  # settled as invalid
                if event.entity in self._references and event.system in self._district.systems:
                    observed_ms = min(event.observed_at_ms, stored.at_ms)
                    found.append((event._replace(observed_at_ms=observed_ms), stored.seq))
            yield found

    # What records are found by, and when their owners change

    async def _found_by(self) -> None:
        """The match index and the timetable, from the records."""
        rules = self._district.entities
        spanning = Spanning(rules, ZoneInfo(self._district.timezone))
        async for records in self._pages():
            tokens: list[tuple[str, str]] = []
            instants: list[tuple[str, int]] = []
            loose: list[tuple[str, str, str]] = []
            for record in records:
                if record.deleted or record.entity not in rules:
                    continue
                rule = rules[record.entity]
                fields = self._references[record.entity]
                loose += [(*name, record.key) for name in sorted(loose_in(record, fields))]
                texts = found_by(rule, record.values)
                tokens += [(self._tokens(f"{record.entity}/{text}"), record.key) for text in texts]
                spans = spanning.of(
                    record.entity, record.values, lambda keys: self._store.records(list(keys))
                )
                said_ms = max((seen.at_ms for seen in record.seen.values()), default=0)
                if at_ms := next_instant(rule, said_ms, spans):
                    instants.append((record.key, at_ms))
            await self._store.commit(
                [
                    self._store.write("save_matching", tokens),
                    self._store.write("save_instants", instants),
                    self._store.write("save_loose", loose),
                ]
            )

    # AUDIT and STATE: what waits for people

    async def _conflicts(self) -> None:
        """Every conflict that AUDIT keeps; one that was asked and is answered is picked."""
        async for page in self._bus.read(subjects.AUDIT, subject="audit.conflict.>"):
            rows = []
            for stored in page:
                try:
                    conflict, _ = decode_conflict(stored.body)
                except Garbage:
                    self._foreign += 1
                    continue
                record = self._store.records([conflict.key]).get(conflict.key)
                state = stored.subject.split(".")[2]
                if state == ASKED and not (record and any(name in record.asked for name in conflict.fields)):
                    state = "picked"
                rows.append((stored.id, conflict.key, stored.at_ms, state, stored.body))
            await self._store.commit([self._store.write("save_conflicts", rows)])

    async def _unmatched(self, until: int) -> None:
        async for page in self._bus.read(subjects.STATE, subject="state.unmatched.>"):
            rows, waiting, dismissed = [], [], []
            for stored in page:
                try:
                    said = unpack(stored.body)
                    if "resolved" in said or said["event_seq"] > until:
                        continue
                    event = decode_event(said["event"])
                except (Garbage, KeyError):
                    self._foreign += 1
                    continue
                if event.entity not in self._references:
                    continue
                name = (event.system, event.entity, event.local_id)
                if "dismissed" in said:
                    dismissed.append((*name, said["event_seq"], stored.at_ms, said["event"]))
                    continue
                candidates = json.dumps(list(said["candidates"]))
                rows.append((*name, said["event_seq"], stored.at_ms, candidates, said["event"]))
                texts = match_texts(self._district.entities[event.entity], event.fields)
                waiting += [(self._tokens(f"{event.entity}/{text}"), *name) for text in texts if text]
                if event.hub_id:
                    waiting.append((self._tokens(hub_text(f"{event.entity}/{event.hub_id}")), *name))
            await self._store.commit(
                [
                    self._store.write("save_unmatched", rows),
                    self._store.write("save_waiting", waiting),
                    self._store.write("save_dismissed", dismissed),
                ]
            )

    # The work list

    def _destinations(self) -> dict[str, DestinationRule]:
        systems = self._district.systems.values()
        return {system.name: system.destination for system in systems if system.destination}

    async def _mark(self, live: Mapping[str, tuple[int, str]]) -> None:
        """Whatever a destination does not hold in its newest rev. One that turns out equal is not sent.

        Of one that went live by approval all: what was only observed before is settled, and may not have been
        sent before the index was lost.
        """
        rows = [
            (name, self._now_ms, json.dumps(sorted(rule.entities)))
            for name, rule in self._destinations().items()
        ]
        observed = [(*row, f"live.{live[row[0]][1]}") for row in rows if row[0] in live]
        puts = [(name, at_ms, put, entities) for name, at_ms, entities, put in observed]
        await self._store.commit([Write(QUERIES["mark_behind"], rows), self._store.write("put_all", puts)])
