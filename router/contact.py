"""The report of a system's first contact, gathered from the index a page at a time, so that nothing waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from bus.codec import decode_given, decode_record, decode_seen
from bus.errors import BusError
from bus.messages import Record
from bus.subjects import EVENTS
from router.core.authority import owners_at
from router.core.contact import Line, Summary, What, linked
from router.core.held import NOTHING_GIVEN
from router.core.mapping import Invalid, told_fields
from router.pipeline import Pipeline
from router.records import Records
from router.sources.runner import SourceRunner
from router.spans import Spanning

LINES: Final = 500
TERMS_AT_HAND: Final = 2_000
AT_ONCE: Final = 100
"""Records that are looked at before others have their turn."""
BEGIN: Final = "record 0"
"""Where the lines begin; each page says where the next one does."""


class Page(NamedTuple):
    """Some lines, and where the next ones begin ('' : these were the last)."""

    lines: list[Line]
    next: str


class Contact:
    """Of one destination, as it stands now."""

    def __init__(self, pipeline: Pipeline, system: str, at_ms: int) -> None:
        self._pipeline = pipeline
        self._store = pipeline.store
        self._system = system
        self._at_ms = at_ms
        self._owned_fields: dict[str, frozenset[str]] = {}
        district = pipeline.district
        self._spanning = Spanning(district.entities, ZoneInfo(district.timezone))
        self._terms = Records(self._store.records, TERMS_AT_HAND)
        self._worker = pipeline.workers[system]
        self._entities = json.dumps(sorted(self._worker.routes))

    @property
    def unread(self) -> list[str]:
        """The entities of which it does not tell us all that it has: what is there is not known."""
        source = self._pipeline.district.systems[self._system].source
        is_read = isinstance(self._pipeline.sources.get(self._system), SourceRunner)
        read = source.entities if source and is_read else {}
        return [entity for entity in self._worker.routes if entity not in read]

    async def not_ready(self) -> str:
        """Why there is nothing yet to look at, or ''."""
        runner = self._pipeline.sources.get(self._system)
        if isinstance(runner, SourceRunner) and not runner.shelf.read("last_good"):
            what = f"{self._system} has not been read yet. See: yellowbus reads {self._system}"
            return f"{what}, yellowbus holds list"
        behind = (await self._pipeline.bus.info(EVENTS)).last_seq - self._store.position("events")
        return f"{behind:,} events are still to be decided. Ask again in a moment" if behind > 0 else ""

    async def summary(self) -> Summary:
        """All lines, counted and hashed."""
        found = Summary(self._pipeline.district.key, self._pipeline.district.digest)
        async for lines in self._pages():
            for line in lines:
                found.add(line)
        return found

    async def _pages(self) -> AsyncIterator[list[Line]]:
        at = BEGIN
        while at:
            lines, at = self.page(at, AT_ONCE)
            yield lines
            await asyncio.sleep(0)  # others first

    def page(self, at: str, most: int = LINES) -> Page:
        """The lines from there on. Raises BusError for a place that there is not."""
        what, _, number = at.partition(" ")
        if what == "record" and number.isdecimal():
            return self._records(int(number), most)
        if what == "unmatched" and number.isdecimal():
            return self._unmatched(int(number), most)
        raise BusError(f"at: {at!r} is no place in a report (expected what the page before said)")

    # What we have

    def _records(self, after: int, most: int) -> Page:
        rows = self._store.read("contact", self._system, after, self._entities, most)
        lines = [line for row in rows if (line := self._line(row))]
        return Page(lines, f"record {rows[-1][0]}" if len(rows) == most else "unmatched 0")

    def _line(self, row: Sequence[Any]) -> Line | None:
        _, seq, body, seen, hash_, local_id, given = row
        record = decode_record(body, seq)
        if seen is not None:
            record = record._replace(seen=decode_seen(seen))
        route = self._worker.routes[record.entity]
        try:
            wanted = not record.deleted and route.outgoing.wants(record, route.owner)
        except Invalid:
            wanted = False  # it goes to the dead letters, with its reason
        if not wanted:
            return None
        rules = self._pipeline.district.entities[record.entity]
        if self._system in record.links or hash_ or local_id:
            names = told_fields(route.rule, rules)
            owned = self._owned(record)
            has = decode_given(given) if given is not None else NOTHING_GIVEN
            return linked(record, self._system, rules, names, owned, has, is_ours=bool(hash_))
        waits = self._worker.both_ways.may_be_there(record)
        return Line(What.WAITS if waits else What.CREATE, record.entity, record.key)

    def _owned(self, record: Record) -> frozenset[str]:
        """The fields of a record of which the system has authority now."""
        entity = record.entity
        spans = self._spanning.of(entity, record.values, self._terms.many)
        if not spans and entity in self._owned_fields:
            return self._owned_fields[entity]
        fields = self._pipeline.district.entities[entity].fields.values()
        owned = frozenset(each.name for each in fields if self._system in owners_at(each, self._at_ms, spans))
        if not spans:
            self._owned_fields[entity] = owned
        return owned

    # What it has, and nobody knows

    def _unmatched(self, offset: int, most: int) -> Page:
        rows = self._store.read("unmatched", self._system, most, offset)
        lines = []
        for _, entity, local_id, _, _, candidates, _ in rows:
            may_be = tuple(json.loads(candidates))
            what = What.AMBIGUOUS if may_be else What.UNKNOWN
            lines.append(Line(what, entity, "", local_id, "", may_be))
        return Page(lines, f"unmatched {offset + most}" if len(rows) == most else "")
