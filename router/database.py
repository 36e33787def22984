"""One SQLite file: whole transactions in, one commit for all who wait, synced.

Two connections. Writing has a thread of its own and takes a whole transaction there in one hop, many rows to
a statement: a statement or a row at a time, it would wait for the loop or for the interpreter lock at each
(that is why not aiosqlite: a commit of ten statements took ten turns of a busy loop). Small keyed reads run
in the loop's own thread, because a hop costs more than the read.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from bus.errors import Unavailable
from router.privacy import FILE, FOLDER

WRITER: Final = ("synchronous=FULL", "cache_size=-6000", "wal_autocheckpoint=4000")
READER: Final = ("query_only=1", "cache_size=-2000")

Rows = Sequence[tuple[Any, ...]]

ROWS_AT_ONCE: Final = (200, 100, 50, 10, 1)
"""Rows in one statement: a few fixed sizes, so that prepared statements are used again. They are large:
SQLite makes some ten instructions of a row, and keeps those of each size.
"""


class Write(NamedTuple):
    """One statement over many rows. `sql` has `{rows}` where the VALUES list goes; without, it runs once
    per row (`rows` are its parameters).
    """

    sql: str
    rows: Rows


Waiting = tuple[Sequence[Write], "asyncio.Future[None]"]


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


def keyed_reads(sql: str, rows: Rows) -> list[tuple[str, list[Any]]]:
    """A read of many keys as statements with parameters. A part is filled up to a fixed size by its last key
    again: who reads by key takes an answer that comes twice for one.
    """
    found = []
    for start in range(0, len(rows), ROWS_AT_ONCE[0]):
        part = list(rows[start : start + ROWS_AT_ONCE[0]])
        size = min(size for size in ROWS_AT_ONCE if size >= len(part))
        part += [part[-1]] * (size - len(part))
        found.append((with_rows(sql, len(part[0]), size), list(chain.from_iterable(part))))
    return found


class Sqlite:
    """A database file in WAL mode; every commit is synced, because an acknowledgement follows it."""

    def __init__(self, writer: sqlite3.Connection, reader: sqlite3.Connection, path: Path) -> None:
        self._writer = writer
        self._reader = reader
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.stem)
        self._turn = asyncio.Lock()
        self._waiting: list[Waiting] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, schema: str) -> AsyncIterator["Sqlite"]:
        """The database at `path`, made with `schema` (idempotent SQL) if it is not there."""
        path.parent.mkdir(mode=FOLDER, parents=True, exist_ok=True)
        path.touch(FILE)  # what SQLite puts beside it has the same mode
        with (
            contextlib.closing(_connect(path, "journal_mode=WAL", *WRITER)) as writer,
            contextlib.closing(_connect(path, *READER)) as reader,
        ):
            writer.executescript(schema)
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

    async def _commit(self, group: Sequence[Waiting]) -> None:
        error: BaseException | None = None
        loop = asyncio.get_running_loop()
        try:
            # The whole transaction in one hop: between two hops the loop may be busy for a tenth of a second.
            await loop.run_in_executor(self._thread, self._transaction, [writes for writes, _ in group])
        except sqlite3.OperationalError as failed:
            what = f"{self._path.name}: {failed}; nothing of it was written"
            error = Unavailable(what, runbook="disk-full") if _passes(failed) else failed
        except BaseException as failed:
            error = failed
        if error is not None and len(group) > 1:  # one of them is at fault: each alone shows which
            for each in group:
                await self._commit([each])
            return
        for _, future in group:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _transaction(self, group: Sequence[Sequence[Write]]) -> None:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        try:
            for writes in group:
                for write in writes:
                    for sql, parameters in statements(write):
                        execute(sql, parameters)
            execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                execute("ROLLBACK")
            raise

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._reader.execute(sql, parameters).fetchall()

    async def close(self) -> None:
        """After the commit that is under way."""
        async with self._turn:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)


def _connect(path: Path, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=512, check_same_thread=False)
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _passes(error: sqlite3.OperationalError) -> bool:
    """It may go by itself, or when somebody makes room; anything else is a bug or a broken file."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY)
