"""A reading into the shelf, row by row: mapped, compared with the last good read, references looked up.

Nothing is published from here. A row that cannot be mapped, or that needs a record which is not there, is
set aside: it counts neither as news nor as removed, and the report says where it stands.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgpack

from bus.adapter import Reading, Row
from bus.codec import encode_event
from bus.errors import Refused
from bus.messages import Event, Op, Value
from router.core.identity import references
from router.core.mapping import Invalid, ToEvent
from router.core.rules import District, EntityRule, SourceEntity
from router.core.spelling import id_in
from router.sources.shelf import Shelf
from router.sources.targets import Target, Targets

REMARKS_MAX: Final = 20
HASH_BYTES: Final = 12
EVENT_BYTES_MAX: Final = 900_000
"""The server takes messages of 1 MiB; its change is somewhat larger than the event."""
ROWS_AT_ONCE: Final = 4_000
SCRATCH: Final = ("staged", "loose", "plan", "concluded")
LEFT_OUT: Final = -1
"""In place of `sound`: it is there, and an edited rule leaves it out."""
NOTHING: Final = [(0,)]
"""The one row of a statement that needs no parameter."""

_pack: Final[Callable[[object], bytes]] = msgpack.Packer(autoreset=True).pack


class Mapped(NamedTuple):
    """One entity of a source, ready to map: its rules, the compiled mapping, its references."""

    rule: SourceEntity
    entity: EntityRule
    to_event: ToEvent
    references: tuple[tuple[str, bool, tuple[str, ...]], ...]

    @classmethod
    def of(cls, rule: SourceEntity, entity: EntityRule, to_event: ToEvent) -> "Mapped":
        """With the references among the fields that the source maps."""
        mapped = {term.field for term in rule.terms}
        return cls(rule, entity, to_event, tuple(each for each in references(entity) if each[0] in mapped))


class Taken(NamedTuple):
    """One row that an entity wants, mapped."""

    row: Row
    local_id: str
    fields: dict[str, Value]


@dataclass(slots=True)
class Staged:
    """What staging found. `read`: rows in the tables, whatever became of them; `rows`: those that an entity
    took. `dangling` counts rows whose references name nothing, by entity.
    """

    read: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    set_aside: int = 0
    dangling: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def remark(self, text: str) -> None:
        """Keep the first few for the report."""
        if len(self.remarks) < REMARKS_MAX:
            self.remarks.append(text)


class Staging:
    """One reading on its way into the shelf. `number` is the read's; with the content it names the events."""

    def __init__(
        self, *, system: str, shelf: Shelf, district: District, reading: Reading, number: int
    ) -> None:
        self._system = system
        self._shelf = shelf
        self._reading = reading
        self._number = number
        key = district.key[: hashlib.blake2b.MAX_KEY_SIZE]
        self._keyed = hashlib.blake2b(key=key, digest_size=HASH_BYTES)
        self._rows: list[tuple[Any, ...]] = []
        self._plan: list[tuple[Any, ...]] = []
        self._loose: list[tuple[Any, ...]] = []
        self._untaken: list[Row] = []
        self._writing: asyncio.Future[None] | None = None
        self._done: set[str] = set()
        self._first = not shelf.read("any_held")
        self._waits = bool(shelf.read("any_waiting"))
        self._tables: dict[str, str] = {}
        self.staged = Staged()

    async def run(self, mapped: Sequence[Mapped]) -> Staged:
        """Stage every entity of the reading. Raises Refused."""
        shelf = self._shelf
        await shelf.commit([shelf.write(f"forget_{what}", NOTHING) for what in SCRATCH])
        present = [each for each in mapped if each.rule.table in self._reading.tables]
        self._tables = {each.rule.entity: each.rule.table for each in present}
        self._targets = Targets(shelf, full=self._reading.full, spoken=self._tables)
        known = dict(shelf.read("rules"))
        self._edited = {
            each.rule.entity
            for each in present
            if known.get(each.rule.entity, each.rule.when_text) != each.rule.when_text
        }
        # A table that several entities share comes when the last of them may.
        tables = list(dict.fromkeys(reversed([each.rule.table for each in present])))
        try:
            for table in reversed(tables):
                await self._table(table, [each for each in present if each.rule.table == table])
        finally:
            await self._flushed()
        await self._tighten()
        await self._refuse_twice()
        if self._reading.full:
            # Backwards, so that what refers goes before what it refers to.
            for each in reversed(present):
                await shelf.commit([shelf.write("plan_removals", [(each.rule.entity,)])])
        else:
            await shelf.commit([shelf.write("plan_moves", _moves(present))])
        return self.staged

    async def _table(self, table: str, entities: Sequence[Mapped]) -> None:
        untaken: list[int] = []
        for each in entities:
            self.staged.rows[each.rule.entity] = 0
        async for rows in self._reading.rows(table):
            self.staged.read += len(rows)
            found: dict[str, list[Taken]] = {each.rule.entity: [] for each in entities}
            for row in rows:
                self._map(table, entities, row, found)
            for each in entities:
                self._stage(table, each, found[each.rule.entity], entities)
            if self._untaken:
                untaken += self._leave(table, entities)
            if len(self._rows) >= ROWS_AT_ONCE:
                await self._flush()
        await self._flush()
        await self._flushed()
        if untaken:
            others = f", nor {len(untaken) - 1} others" if len(untaken) > 1 else ""
            self.staged.remark(f"{table}:{untaken[0]}: {_no_entity(entities)}{others}")
        self._done.update(each.rule.entity for each in entities)

    async def _flush(self) -> None:
        """Write what has gathered, while the next rows are read."""
        await self._flushed()
        shelf = self._shelf
        # In the order of the ids: page by page, and each page once.
        writes = [
            shelf.write("stage", sorted(self._rows, key=itemgetter(0, 1))),
            shelf.write("add_plan", self._plan),
            shelf.write("add_loose", self._loose),
        ]
        self._rows, self._plan, self._loose = [], [], []
        self._writing = asyncio.ensure_future(shelf.commit(writes))

    async def _flushed(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    def _map(
        self,
        table: str,
        entities: Sequence[Mapped],
        row: Row,
        found: dict[str, list[Taken]],
    ) -> None:
        if row.deleted:  # that it is gone needs no sound fields: whoever holds it knows which entity it was
            for each in entities:
                found[each.rule.entity].append(Taken(row, id_in(each.rule, row.values), {}))
            return
        for each in entities:
            try:
                taken = each.to_event(row.values)
            except Invalid as error:
                self._aside(table, row.line, f"{error.field}: {error.reason}")
                self._stand(row, entities)
                return
            if taken is not None:
                found[each.rule.entity].append(Taken(row, *taken))
                return
        self._untaken.append(row)

    def _stand(self, row: Row, entities: Iterable[Mapped], sound: int = 0) -> None:
        """It is there, only unsound: it must not look as if it were gone, whichever entity it was."""
        for each in entities:
            if local_id := id_in(each.rule, row.values):
                self._rows.append((each.rule.entity, local_id, b"", "", row.line, sound))

    def _leave(self, table: str, entities: Sequence[Mapped]) -> list[int]:
        """The lines of rows that no entity takes. One that was taken before is set aside: it has not gone.
        But where `when` says since what it did not say then, it is left out on purpose: then it is removed.
        """
        rows, self._untaken = self._untaken, []
        names = [(each.rule.entity, id_in(each.rule, row.values)) for row in rows for each in entities]
        held = set() if self._first else set(self._shelf.read_rows("held_targets", names))
        left = []
        for row in rows:
            before = [each for each in entities if (each.rule.entity, id_in(each.rule, row.values)) in held]
            if before and self._reading.full and all(each.rule.entity in self._edited for each in before):
                self._stand(row, before, LEFT_OUT)
            elif before:
                self._aside(table, row.line, _no_entity(entities))
                self._stand(row, before)
            else:
                left.append(row.line)
        return left

    def _aside(self, table: str, line: int, why: str) -> None:
        self.staged.set_aside += 1
        self.staged.remark(f"{table}:{line}: {why}. The row was set aside")

    def _stage(self, table: str, each: Mapped, found: Sequence[Taken], entities: Sequence[Mapped]) -> None:
        entity, shelf, staged = each.rule.entity, self._shelf, self._rows
        self.staged.rows[entity] += sum(not taken.row.deleted for taken in found)
        before: dict[str, bytes] = (
            {} if self._first else shelf.held_hashes(entity, [taken.local_id for taken in found])
        )
        missing = self._targets.missing(each.references, [taken.fields for taken in found])
        for row, local_id, fields in found:
            school = _school(each.entity, fields)
            if row.deleted:
                # Also of what waits to be there; the plan lets go of it if it is not.
                if (local_id in before or self._waits) and not self._reading.full:
                    self._plan.append((entity, local_id, Op.DELETE.value, b"", school, "", b""))
                continue
            hub_id = row.values.get(each.rule.hub_id_field, "") if each.rule.hub_id_field else ""
            hash_ = self._hash(entity, local_id, fields, hub_id)
            dangling = _dangling(each, fields, missing) if missing else []
            lost = [name for name, to, _ in dangling if self._is_final(each, name, to)]
            planned = None
            if before.get(local_id) != hash_:
                op = Op.UPDATE if local_id in before else Op.CREATE
                msg_id, body = self._event(entity, op, local_id, fields, hash_, hub_id)
                planned = (entity, local_id, op.value, hash_, school, msg_id, body)
            why = ""
            if lost:
                self._count_dangling(entity)
                why = f"{lost[0]} refers to a record that is not there"
            elif planned and len(planned[-1]) > EVENT_BYTES_MAX:
                why = f"its event has {len(planned[-1])} bytes (at most {EVENT_BYTES_MAX})"
            if why:
                self._aside(table, row.line, why)
                staged.append((entity, local_id, hash_, school, row.line, 0))
                self._stand(row, [other for other in entities if other is not each])
                continue
            staged.append((entity, local_id, hash_, school, row.line, 1))
            for name, to, target_id in dangling:
                required = int(each.entity.fields[name].required)
                self._loose.append((entity, local_id, name, " ".join(to), target_id, required, row.line))
            if planned:
                self._plan.append(planned)

    def _hash(self, entity: str, local_id: str, fields: dict[str, Value], hub_id: str) -> bytes:
        digest = self._keyed.copy()
        content = (entity, local_id, fields)
        digest.update(_pack((*content, hub_id) if hub_id else content))
        return digest.digest()

    def _event(
        self, entity: str, op: Op, local_id: str, fields: dict[str, Value], hash_: bytes, hub_id: str
    ) -> tuple[str, bytes]:
        # The hash covers entity, local_id and content. With the read's number: a bare hash would lose the
        # last A of A, B, A to the server's dedup.
        id_ = f"{self._system}.{self._number}.{hash_.hex()}"
        event = Event(
            id_,
            self._system,
            entity,
            op,
            local_id,
            fields,
            True,
            self._reading.observed_at_ms,
            read=str(self._number),
            hub_id=hub_id,
        )
        return id_, encode_event(event)

    # References

    def _is_final(self, each: Mapped, name: str, to: tuple[str, ...]) -> bool:
        """A required reference to something that no later row of this reading can bring."""
        if not each.entity.fields[name].required:
            return False
        return all(entity in self._done or entity not in self._tables for entity in to)

    async def _tighten(self) -> None:
        """Look once more for what references named before it came."""
        after, shelf = 0, self._shelf
        dangling: set[Target] = set()
        while rows := shelf.read("loose_after", after):
            after = rows[-1][0]
            there = self._targets.there({(entity, row[5]) for row in rows for entity in str(row[4]).split()})
            bad = []
            for _, entity, local_id, name, to, target_id, required, line in rows:
                if any((target, target_id) in there for target in to.split()):
                    continue
                if (entity, local_id) not in dangling:
                    dangling.add((entity, local_id))
                    self._count_dangling(entity)
                why = f"{name} refers to a record that is not there"
                if required:
                    bad.append((entity, local_id))
                    self._aside(self._tables[entity], line, why)
                else:
                    self.staged.remark(f"{self._tables[entity]}:{line}: {why}. The rest of the row was taken")
            await shelf.commit([shelf.write("set_aside", bad), shelf.write("unplan", bad)])

    def _count_dangling(self, entity: str) -> None:
        self.staged.dangling[entity] = self.staged.dangling.get(entity, 0) + 1

    async def _refuse_twice(self) -> None:
        """One id on two rows: the same row twice is a blemish, two different ones leave no way to choose."""
        rows = self._shelf.read("twice", REMARKS_MAX)
        if not rows:
            return
        lines = [
            f"{self._tables[entity]}:{again}: the id of line {line} again"
            for entity, _, line, again, differs in rows
            if differs
        ]
        if lines:
            raise Refused(
                [f"{line}, with other content (expected one row for an id)" for line in lines],
                code="duplicate-id",
            )
        for entity, _, line, again, _ in rows:
            self.staged.remark(f"{self._tables[entity]}:{again}: the same row as line {line}")
        await self._shelf.commit([self._shelf.write("unplan_twice", NOTHING)])


def _no_entity(entities: Sequence[Mapped]) -> str:
    conditions = "; ".join(each.rule.when_text for each in entities)
    return f"no entity takes this row (when: {conditions})"


def _moves(present: Sequence[Mapped]) -> list[tuple[str, str]]:
    """Where a record may move to when its kind changes: (from entity, to entity) of one table and id."""
    return [
        (old.rule.entity, new.rule.entity)
        for old in present
        for new in present
        if old is not new and (old.rule.table, old.rule.id_field) == (new.rule.table, new.rule.id_field)
    ]


def _dangling(
    each: Mapped, fields: dict[str, Value], missing: set[Target]
) -> list[tuple[str, tuple[str, ...], str]]:
    """The references of a row that name nothing: (field, entities it may name, id)."""
    found = []
    for name, several, to in each.references:
        value = fields.get(name)
        if value is None:
            continue
        for target_id in value if several and isinstance(value, tuple) else (str(value),):
            if all((entity, target_id) in missing for entity in to):
                found.append((name, to, target_id))
    return found


def _school(entity: EntityRule, fields: dict[str, Value]) -> str:
    value = fields.get(entity.partition) if entity.partition else None
    if isinstance(value, tuple):
        return value[0] if value else ""
    return str(value) if value else ""
