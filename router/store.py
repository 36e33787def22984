"""The SQLite index: records, crosswalk, ledgers, work lists, outbox. Queries stand in store.sql by name.

It is an index of the streams plus the work in hand. Nothing but the router opens it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bus.codec import decode_given, decode_record, decode_seen
from bus.errors import YellowbusError
from bus.messages import Record
from bus.port import Message
from router.core.held import Given
from router.database import Database, Write, keyed_reads

SCHEMA: Final = 5


def named_queries(path: Path) -> dict[str, str]:
    """The statements of an SQL file: each begins with a line `-- name` or `-- name: what it is for`."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text().splitlines():
        name, _, _ = line.removeprefix("-- ").partition(":")
        if line.startswith("-- ") and name.isidentifier():
            lines = found.setdefault(name, [])
        else:
            lines.append(line)
    return {name: "\n".join(text).strip().removesuffix(";") for name, text in found.items()}


QUERIES: Final = named_queries(Path(__file__).with_name("store.sql"))


class Store:
    """What the router knows, in the words of its steps. Writes are values (`Write`) that a step gathers and
    commits at once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: list[asyncio.Future[None]] = []
        found = self._database.read("SELECT name, value FROM position")
        self._positions: dict[str, int] = {str(name): int(value) for name, value in found}
        found_schema = self._positions.get("schema", SCHEMA)
        if found_schema != SCHEMA:
            newer = "Start the newer version again, or make" if found_schema > SCHEMA else "Make"
            raise YellowbusError(
                f"index: schema {found_schema}, this yellowbus knows {SCHEMA}."
                f" {newer} the index anew: yellowbus rebuild",
                runbook="index-refused",
            )

    async def commit(self, writes: Iterable[Write]) -> None:
        """Make these writes one transaction, on disk on return."""
        wanted = [write for write in writes if write.rows]
        if not wanted:
            return
        await self._database.write(wanted)
        for write in wanted:
            if write.sql == QUERIES["save_positions"]:
                for name, value in write.rows:
                    self._positions[name] = max(value, self._positions.get(name, 0))
                self._moved()

    def write(self, query: str, rows: Sequence[tuple[Any, ...]]) -> Write:
        """A write by the name of its query."""
        return Write(QUERIES[query], rows)

    def read(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """A small read by the name of its query."""
        return self._database.read(QUERIES[query], parameters)

    def read_rows(
        self, query: str, rows: Sequence[tuple[Any, ...]], *parameters: object
    ) -> list[tuple[Any, ...]]:
        """A read of many keys."""
        return [
            found
            for sql, values in keyed_reads(QUERIES[query], rows)
            for found in self._database.read(sql, [*values, *parameters])
        ]

    def position(self, name: str) -> int:
        """How far the index is: `events` and `changes` (stream sequences), `epoch`; 0 when it never was."""
        return self._positions.get(name, 0)

    async def reached(self, name: str, value: int) -> None:
        """Wait until the index is that far."""
        while self.position(name) < value:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _moved(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def records(self, keys: Sequence[str]) -> dict[str, Record]:
        """The records of these keys; a key without one is not in it."""
        found: dict[str, Record] = {}
        for key, seq, body, seen in self.read_rows("load_records", [(key,) for key in keys]):
            record = decode_record(body, seq)
            found[key] = record if seen is None else record._replace(seen=decode_seen(seen))
        return found

    def links(self, wanted: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
        """The keys of (system, entity, local_id); one that is not linked is not in it."""
        return {
            (system, entity, local_id): key
            for system, entity, local_id, key in self.read_rows("load_links", wanted)
        }

    def given(self, destination: str, keys: Sequence[str]) -> dict[str, Given]:
        """What a destination was given of these records and may not have taken up."""
        rows = self.read_rows("given", [(key,) for key in keys], destination)
        return {key: decode_given(body) for key, body in rows}

    def unmatched(self, names: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Which of these (system, entity, local_id) wait unmatched."""
        wanted = list(names)
        return [(s, e, i) for s, e, i in self.read_rows("still_unmatched", wanted)] if wanted else []

    def own_ids(self, destination: str, keys: Sequence[str]) -> Mapping[str, str]:
        """The ids that a destination has of its own for these records."""
        return dict(self.read_rows("own_ids", [(key,) for key in keys], destination))

    def outbox(self) -> list[tuple[int, Message]]:
        """All that was committed and may not be on the bus yet, in order."""
        rows = self._database.read("SELECT id, subject, msg_id, body, traceparent FROM outbox ORDER BY id")
        return [
            (id_, Message(subject, body, msg_id, None, trace)) for id_, subject, msg_id, body, trace in rows
        ]
