"""The database side: one connection, one thread, one transaction per batch.

All work on the database is done in one thread of the adapter's own, a whole batch per call, so that the rest
of the router never waits for a disk.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from adapters.sql import dialect, rows, schema
from bus import adapter
from bus.adapter import Delivery, EntityShape, Listed, Misfit, Receipt, Surroundings, must_fit
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome, Value

_SCHEME: Final = "sqlite:///"

_REFUSALS: Final = {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH}
"""SQLite's primary codes that are about a record; any other is about the database as a whole."""

_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "another program has it locked: see which one, and let it finish",
    sqlite3.SQLITE_FULL: "the disk is full: make room",
    sqlite3.SQLITE_READONLY: "it may not be written: give the router's user the right",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: see its folder and the rights on it",
    sqlite3.SQLITE_IOERR: "reading or writing failed: see the disk",
    sqlite3.SQLITE_NOTADB: "that file is no SQLite database: see the url in the settings",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it, then backfill",
}


class Settings(adapter.Settings):
    """`url`: `sqlite:///` and a path. `busy_timeout_s`: how long to wait for another program's lock."""

    url: str
    busy_timeout_s: float = Field(default=5.0, ge=0, le=60)


class Destination:
    """A database that is told."""

    batch_records_max: ClassVar[int] = 1_000

    def __init__(self, settings: Settings, surroundings: Surroundings) -> None:
        """Raises ConfigError for another kind of database, or for tables that cannot be."""
        self._system = surroundings.system
        self._now_ms = surroundings.now_ms
        must_fit(surroundings.system, self.misfits(settings, surroundings.entities))
        self._path = Path(settings.url.removeprefix(_SCHEME))
        self._timeout_s = settings.busy_timeout_s
        self._shapes = {shape.entity: shape for shape in surroundings.entities}
        self._tables = schema.wanted(surroundings.entities)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"sql-{surroundings.system}")
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._closed = False

    @staticmethod
    def misfits(settings: Settings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """A url that is no file's, tables and columns that cannot be. See Misfit."""
        if settings and (why := _wrong_url(settings.url)):
            yield Misfit(("settings", "url"), why)
        yield from schema.misfits(shapes)

    async def check(self) -> None:
        """Can the database be opened and written, and do its tables fit the mapping? Changes nothing.

        Raises Unavailable or ConfigError.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._look)

    async def apply(self, batch: Sequence[Delivery]) -> Sequence[Receipt]:
        """Write a batch in one transaction. Raises Unavailable when it is locked, full or broken."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, batch)

    @property
    def listed(self) -> Collection[str]:
        """All."""
        return self._shapes

    async def listing(self, entity: str) -> AsyncIterator[Sequence[Listed]]:
        """All live rows of an entity's table, in the order of their ids. Raises Unavailable."""
        shape, loop, last = self._shapes[entity], asyncio.get_running_loop(), None
        while page := await loop.run_in_executor(self._thread, self._page, shape, last):
            last = page[-1][0]
            yield [rows.listed(row, shape) for row in page]

    async def close(self) -> None:
        """Let go of the file. Twice is fine."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
            self._thread.shutdown()

    # All below runs in the adapter's thread.

    def _look(self) -> None:
        if not self._path.parent.is_dir():
            raise Unavailable(
                f"{self._system}: the folder {self._path.parent} is not there. Make it, or mount it"
            )
        is_new = not self._path.exists()
        with self._errors():
            connection = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE")  # a right to read alone would not do
                for _ in self._changes(connection):
                    pass
                connection.execute("ROLLBACK")
            finally:
                connection.close()
                if is_new and self._path.stat().st_size == 0:
                    self._path.unlink()

    def _changes(self, connection: sqlite3.Connection) -> Iterator[str]:
        for table, (id_field, columns) in self._tables.items():
            there = connection.execute(dialect.TABLE_COLUMNS, (table,)).fetchall()
            try:
                yield from schema.changes(
                    table, id_field, columns, {name: (type_, key) for name, type_, key in there}
                )
            except ConfigError as error:
                raise ConfigError(f"{self._system}: {error.message}") from None

    def _write(self, batch: Sequence[Delivery]) -> list[Receipt]:
        at = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        try:
            with self._errors():
                return self._settle(self._connected(), batch, at)
        except ConfigError as error:  # the tables have changed since `check`
            raise Unavailable(error.message, runbook="sql-schema") from error

    def _page(self, shape: EntityShape, last: object) -> list[tuple[Value, ...]]:
        names = [name for name, _ in shape.fields]
        with self._errors():
            sql = dialect.page(shape.table, shape.id_field, names, is_first=last is None)
            return self._connected().execute(sql, () if last is None else (last,)).fetchall()

    def _settle(self, connection: sqlite3.Connection, batch: Sequence[Delivery], at: str) -> list[Receipt]:
        """All in one transaction; if the database refuses, halve until the one that it refuses is alone."""
        try:
            return self._attempt(connection, batch, at)
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            if not _is_refusal(error):
                raise
            if len(batch) == 1:
                return [Receipt(batch[0].key, Outcome.FAILED, _reason(error, batch[0]))]
        middle = len(batch) // 2
        return self._settle(connection, batch[:middle], at) + self._settle(connection, batch[middle:], at)

    def _attempt(self, connection: sqlite3.Connection, batch: Sequence[Delivery], at: str) -> list[Receipt]:
        groups = list(rows.by_entity(batch, self._shapes))
        if len(groups) == 1 and (receipts := _in_one_statement(connection, *groups[0], at)) is not None:
            return [receipts[delivery.key] for delivery in batch]
        receipts = {}
        with _transaction(connection):
            for shape, group in groups:
                plan = _plan(connection, shape, group, at)
                for statement in plan.statements:
                    connection.execute(statement.sql, statement.parameters)
                receipts.update(plan.receipts)
        return [receipts[delivery.key] for delivery in batch]

    def _connected(self) -> sqlite3.Connection:
        """The connection, opened anew if somebody has put another file in its place: what goes into the old
        one would be lost.
        """
        if self._connection is not None and self._inode == _inode_of(self._path):
            return self._connection
        self._disconnect()
        connection = sqlite3.connect(
            self._path, timeout=self._timeout_s, isolation_level=None, cached_statements=512
        )
        self._connection = connection
        for pragma in dialect.PRAGMAS:
            connection.execute(pragma).fetchall()
        with _transaction(connection):
            connection.execute(dialect.CREATE_TOMBSTONES)
            for statement in list(self._changes(connection)):
                connection.execute(statement)
        self._inode = _inode_of(self._path)
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say what SQLite says as the router and the person on call need it; begin anew after it."""
        try:
            yield
        except sqlite3.Error as error:
            self._disconnect()
            advice = _ADVICE.get(_primary_code(error), str(error))
            raise Unavailable(f"{self._system}: {self._path}: {advice}", runbook="sql-unavailable") from error


def _plan(
    connection: sqlite3.Connection, shape: EntityShape, group: Sequence[rows.Row], at: str
) -> rows.Plan:
    probed = (
        connection.execute(probe.sql, probe.parameters).fetchone()[0] for probe in rows.probes(group, shape)
    )
    return rows.plan(group, shape, rows.held_from(probed), at)


def _in_one_statement(
    connection: sqlite3.Connection, shape: EntityShape, group: Sequence[rows.Row], at: str
) -> dict[str, Receipt] | None:
    """The usual batch needs no BEGIN and COMMIT, each of which may wait long for the interpreter: a single
    upsert is a transaction, and compares versions itself. None: it takes more, or somebody else has written
    between the look and the write.
    """
    plan = _plan(connection, shape, group, at)
    if any(row.delivery.op is Op.DELETE for row in group) or len(plan.statements) > 1:
        return None
    for statement in plan.statements:
        if connection.execute(statement.sql, statement.parameters).rowcount != statement.rows:
            return None
    return plan.receipts


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _wrong_url(url: str) -> str:
    if not url.startswith(_SCHEME):
        return f"url: {url.split(':')[0]}: is no sqlite:///path. PostgreSQL comes later"
    path = url.removeprefix(_SCHEME)
    if not path or path == ":memory:" or "\0" in path:
        return "url: names no file (sqlite:///path expected)"
    return ""


def _inode_of(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return _primary_code(error) in _REFUSALS or type(error) is sqlite3.DataError
    return True  # a number or a text that no SQLite column can hold


def _reason(error: Exception, delivery: Delivery) -> str:
    """Why, without values: SQLite's own messages name columns and constraints only."""
    if isinstance(error, sqlite3.Error):
        return str(error)
    fields = ", ".join(name for name, value in delivery.fields.items() if not _can_be_bound(value))
    return f"{fields or delivery.key}: more than 64 bits, or half a surrogate pair, which no column can hold"


def _can_be_bound(value: Value) -> bool:
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    texts = value if isinstance(value, tuple) else (value,)
    try:
        return all(not isinstance(text, str) or text.encode() is not None for text in texts)
    except UnicodeEncodeError:
        return False
