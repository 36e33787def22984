"""What a system of the crash test has on disk: its records, and each write in the order it was applied.

A row is committed before the system answers, so SIGKILL takes nothing away that somebody was told of.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    "table" TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY ("table", id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied (
    number INTEGER PRIMARY KEY, "table" TEXT NOT NULL, record TEXT NOT NULL, op TEXT NOT NULL, version INTEGER
);
"""


class Applied(NamedTuple):
    """One write that a system applied. `record`: the hub's id of it. `op`: create, update or delete.
    `version`: the one that came with it; None where the protocol has none.
    """

    table: str
    record: str
    op: str
    version: int | None = None


class Book:
    """One file, one writer; several may read it."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # what is killed is a program, never the machine
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> "Book":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def begin(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._db.execute("COMMIT")

    def save(self, id_: str, body: Json | None, what: Applied) -> None:
        """Within a transaction: the record as it is now (None: gone), and what made it so."""
        if body is None:
            self._db.execute('DELETE FROM held WHERE "table" = ? AND id = ?', (what.table, id_))
        else:
            values = (what.table, id_, json.dumps(body))
            self._db.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?)", values)
        self._db.execute("INSERT INTO applied VALUES (NULL, ?, ?, ?, ?)", what)

    def held(self) -> Iterator[tuple[str, str, Json]]:
        """Each record: table, the system's own id, body."""
        for table, id_, body in self._db.execute("SELECT * FROM held"):
            yield table, id_, json.loads(body)

    def applied(self) -> list[Applied]:
        """All writes, in their order."""
        rows = self._db.execute('SELECT "table", record, op, version FROM applied ORDER BY number')
        return [Applied(*row) for row in rows]
