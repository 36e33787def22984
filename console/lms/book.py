"""All that the stand-in has, in one SQLite file: records, what the hub told it, what it has to say."""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from bus.errors import YellowbusError

Body = dict[str, Any]

TABLES: Final = ("users", "classes", "enrollments")
TELLING: Final[Mapping[str, tuple[str, ...]]] = {"users": ("role",)}
"""What goes along with each edit of a table: it says what kind of record it is."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS classes (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS enrollments (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS told (   -- by the hub: a row for each record in a request, in their order
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    op TEXT NOT NULL,
    "table" TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS said (   -- to the hub, or still to be said: `answer` is the status that ended it
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    answer INTEGER
);
CREATE INDEX IF NOT EXISTS unsaid ON said (number) WHERE answer IS NULL;
"""


class Letter(NamedTuple):
    """A webhook that is to be posted."""

    number: int
    body: str


class Book:
    """One file, one writer. What has been answered for is on disk, also after a power cut."""

    def __init__(self, file: Path) -> None:
        """Raises YellowbusError if there is no such place, or something else in it."""
        try:
            self._db = sqlite3.connect(file, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise YellowbusError(f"{file}: {error}. Name a file in a folder that is there") from None

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written in the block, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def record(self, table: str, id_: str) -> Body | None:
        row = self._db.execute(f"SELECT body FROM {table} WHERE id = ?", (id_,)).fetchone()
        return json.loads(row[0]) if row else None

    def ids(self, table: str) -> list[str]:
        return [id_ for (id_,) in self._db.execute(f"SELECT id FROM {table} ORDER BY id")]

    # By the hub

    def told(self, op: str, table: str, id_: str, body: Body) -> bool:
        """Do as the hub says, in a transaction: replace, change or delete. False: it was not there."""
        self._db.execute(
            'INSERT INTO told (at_ms, op, "table", id, body) VALUES (?, ?, ?, ?, ?)',
            (time.time_ns() // 1_000_000, op, table, id_, json.dumps(body)),
        )
        before = self.record(table, id_)
        if op == "delete":
            self._db.execute(f"DELETE FROM {table} WHERE id = ?", (id_,))
        elif op == "replace" or before is not None:
            self._save(table, id_, body if op == "replace" else {**(before or {}), **body})
        return before is not None

    # By a teacher

    def taught(self, table: str, id_: str, edits: Body) -> bool:
        """A teacher's edits, in a transaction, and the webhook that tells of them. False: nothing is new."""
        before = self.record(table, id_) or {}
        news = {name: value for name, value in edits.items() if before.get(name) != value}
        if not news:
            return False
        self._save(table, id_, {**before, **news})
        along = {name: before.get(name) for name in TELLING.get(table, ())}
        self._say(table, "update", {"id": id_, **along, **news})
        return True

    def crossed_out(self, table: str, id_: str) -> bool:
        """A teacher has deleted it, in a transaction. False: there was no such record."""
        if self.record(table, id_) is None:
            return False
        self._db.execute(f"DELETE FROM {table} WHERE id = ?", (id_,))
        self._say(table, "delete", {"id": id_})
        return True

    def _say(self, table: str, op: str, data: Body) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = {"id": uuid.uuid4().hex, "table": table, "op": op, "occurred_at": at, "data": data}
        self._db.execute("INSERT INTO said (body) VALUES (?)", (json.dumps(event),))

    def _save(self, table: str, id_: str, body: Body) -> None:
        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (id_, json.dumps(body)))

    # To the hub

    def unsaid(self) -> Letter | None:
        """The oldest webhook that has not got through."""
        row = self._db.execute(
            "SELECT number, body FROM said WHERE answer IS NULL ORDER BY number LIMIT 1"
        ).fetchone()
        return Letter(*row) if row else None

    def answered(self, letter: Letter, status: int) -> None:
        """It need not be posted again."""
        self._db.execute("UPDATE said SET answer = ? WHERE number = ?", (status, letter.number))
