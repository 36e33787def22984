"""One SQLite file: whole transactions in, one commit for all who wait, synced.

Two connections. Writing goes through aiosqlite's thread, many rows to a statement: a row at a time, the
thread would wait for the interpreter lock at each row while the loop is busy. Small keyed reads run in the
loop's own thread, because a hop to another thread costs more than the read.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import aiosqlite

from bus.errors import Unavailable

Rows = Sequence[tuple[Any, ...]]

ROWS_AT_ONCE: Final = (400, 100, 25, 5, 1)
"""Rows in one statement: a few fixed sizes, so that prepared statements are used again."""


class Write(NamedTuple):
    """One statement over many rows. `sql` has `{rows}` where the VALUES list goes; without, it runs once
    per row (`rows` are its parameters).
    """

    sql: str
    rows: Rows


class Database(Protocol):
    """What the store needs of a disk; the simulator has one that breaks."""

    async def write(self, writes: Sequence[Write]) -> None:
        """All of it in one transaction, on disk on return. Raises Unavailable if the disk is full."""
        ...

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """A small read of what is committed, now."""
        ...

    async def close(self) -> None: ...


def with_rows(sql: str, columns: int, count: int) -> str:
    """The statement with its VALUES list.

    >>> with_rows("INSERT INTO t VALUES {rows}", 2, 3)
    'INSERT INTO t VALUES (?,?),(?,?),(?,?)'
    """
    row = "(" + ",".join("?" * columns) + ")"
    return sql.replace("{rows}", ",".join([row] * count))


def statements(write: Write) -> list[tuple[str, list[Any]]]:
    """A write as statements with parameters, the rows cut into the fixed sizes."""
    if "{rows}" not in write.sql:
        return [(write.sql, list(row)) for row in write.rows]
    found = []
    start, columns = 0, len(write.rows[0]) if write.rows else 0
    for size in ROWS_AT_ONCE:
        sql = with_rows(write.sql, columns, size)
        while len(write.rows) - start >= size:
            rows = write.rows[start : start + size]
            found.append((sql, list(chain.from_iterable(rows))))
            start += size
    return found


class Sqlite:
    """A database file in WAL mode; every commit is synced, because an acknowledgement follows it."""

    def __init__(self, writer: aiosqlite.Connection, reader: sqlite3.Connection, path: Path) -> None:
        self._writer = writer
        self._reader = reader
        self._path = path
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[Sequence[Write], asyncio.Future[None]]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, schema: str) -> AsyncIterator["Sqlite"]:
        """The database at `path`, made with `schema` (idempotent SQL) if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = await aiosqlite.connect(path, isolation_level=None, cached_statements=512)
        try:
            await writer.execute("PRAGMA journal_mode=WAL")
            await writer.execute("PRAGMA synchronous=FULL")
            await writer.execute("PRAGMA cache_size=-16000")
            await writer.execute("PRAGMA wal_autocheckpoint=4000")
            await writer.executescript(schema)
            reader = sqlite3.connect(path, isolation_level=None, cached_statements=512)
            reader.execute("PRAGMA query_only=1")
            reader.execute("PRAGMA cache_size=-8000")
        except BaseException:
            await writer.close()
            raise
        database = cls(writer, reader, path)
        try:
            yield database
        finally:
            await database.close()

    async def write(self, writes: Sequence[Write]) -> None:
        """One transaction. All who wait meanwhile share the next commit: one sync for many."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((writes, mine))
        async with self._turn:
            if not mine.done():
                group, self._waiting = self._waiting, []
                # Shielded: a caller that is cancelled must not take the others' commit with it.
                await asyncio.shield(asyncio.ensure_future(self._commit(group)))
        await mine

    async def _commit(self, group: Sequence[tuple[Sequence[Write], asyncio.Future[None]]]) -> None:
        error: BaseException | None = None
        try:
            await self._writer.execute("BEGIN IMMEDIATE")
            try:
                for writes, _ in group:
                    for write in writes:
                        for sql, parameters in statements(write):
                            await self._writer.execute(sql, parameters)
                await self._writer.execute("COMMIT")
            except BaseException:
                await self._writer.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as failed:
            error = Unavailable(
                f"{self._path.name}: {failed}; nothing of it was written", runbook="disk-full"
            )
        except BaseException as failed:
            error = failed
        for _, future in group:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._reader.execute(sql, parameters).fetchall()

    async def close(self) -> None:
        self._reader.close()
        await self._writer.close()
