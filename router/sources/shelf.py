"""One source's shelf: the last good read, the reading at hand, the plan being published, all reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from router.database import Database, Write, keyed_reads
from router.store import named_queries

QUERIES: Final = named_queries(Path(__file__).with_name("shelf.sql"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One look at a source, as `yellowbus reads` shows it. Times in milliseconds UTC; `ended_ms` 0: not yet.

    `outcome`: waiting, reading, publishing, accepted, unchanged, refused; held (part of it waits for a
    person), superseded (it was held, and a newer read has taken that up). `remarks`: what is held, the
    warnings, or why it was refused. `full`: all records, or only what changed; None: it was never opened.
    """

    number: int
    name: str
    sha256: str
    size_bytes: int
    observed_at_ms: int
    started_ms: int
    ended_ms: int = 0
    outcome: str = "reading"
    full: bool | None = None
    rows: int = 0
    creates: int = 0
    updates: int = 0
    deletes: int = 0
    set_aside: int = 0
    remarks: tuple[str, ...] = ()

    def ended(self, outcome: str, at_ms: int, **also: Any) -> "Read":
        """The same read at its end."""
        return replace(self, outcome=outcome, ended_ms=at_ms, **also)


class Shelf:
    """The shelf in its SQLite file, in the words of the runner's steps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, query: str, rows: Sequence[tuple[Any, ...]]) -> Write:
        """A write by the name of its query."""
        return Write(QUERIES[query], rows)

    async def commit(self, writes: Sequence[Write]) -> None:
        """Make these writes one transaction, on disk on return."""
        wanted = [write for write in writes if write.rows]
        if wanted:
            await self._database.write(wanted)

    def read(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """A small read by the name of its query."""
        return self._database.read(QUERIES[query], parameters)

    def read_rows(self, query: str, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """A read of many keys."""
        return [
            found
            for sql, values in keyed_reads(QUERIES[query], rows)
            for found in self._database.read(sql, values)
        ]

    def held_hashes(self, entity: str, local_ids: Sequence[str]) -> dict[str, bytes]:
        """What the last good read said of these rows; one that it did not have is not in it."""
        ((found,),) = self.read("held_hashes", entity, json.dumps(local_ids))
        return {local_id: bytes.fromhex(hash_) for local_id, hash_ in json.loads(found)}

    async def save(self, read: Read, *also: Write) -> None:
        """Keep how a read stands, together with other writes."""
        row = (
            read.number,
            read.name,
            read.sha256,
            read.size_bytes,
            read.observed_at_ms,
            read.started_ms,
            read.ended_ms,
            read.outcome,
            read.full,
            read.rows,
            read.creates,
            read.updates,
            read.deletes,
            read.set_aside,
            json.dumps(read.remarks),
        )
        await self.commit([*also, self.write("save_read", [row])])

    def reads(self, most: int) -> list[Read]:
        """The newest reads, newest first."""
        return [_read(row) for row in self.read("reads", most)]

    def read_of(self, number: int) -> Read:
        """The read of that number."""
        (row,) = self.read("read_of", number)
        return _read(row)

    def counts(self, query: str) -> dict[tuple[str, str], int]:
        """Rows by (entity, school): `counts_held`, `counts_staged` or `counts_gone`."""
        return {(entity, school): count for entity, school, count in self.read(query)}


def _read(row: Sequence[Any]) -> Read:
    entries = dict(zip(Read.__dataclass_fields__, row, strict=True))
    full = None if entries["full"] is None else bool(entries["full"])
    remarks = tuple(json.loads(entries["remarks"]))
    return Read(**{**entries, "full": full, "remarks": remarks})
