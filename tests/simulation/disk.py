"""A disk on which a crash loses what is not committed, and which may be full."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from simulation.life import Life
from simulation.weather import Weather

from bus.errors import Unavailable
from router.database import Database, Write, statements


class Disk:
    """What outlives the process: SQLite files by name, here in memory."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.files: dict[str, sqlite3.Connection] = {}

    def file(self, name: str) -> sqlite3.Connection:
        if name not in self.files:
            self.files[name] = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        return self.files[name]

    def rows(self, name: str, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """A look from outside, for the invariants."""
        return self.file(name).execute(sql, parameters).fetchall()

    @contextlib.asynccontextmanager
    async def open(self, life: Life, path: Path, schema: str) -> AsyncIterator[Database]:
        """What `World.open_database` is in a simulation."""
        life.step(f"open {path.name}")
        file = self.file(path.name)
        file.executescript(schema)
        yield OpenFile(self, life, path.name)

    def close(self) -> None:
        for file in self.files.values():
            file.close()


class OpenFile:
    """`router.database.Database`: a file as one life of the process has it open."""

    def __init__(self, disk: Disk, life: Life, name: str) -> None:
        self._disk = disk
        self._life = life
        self._name = name
        self._file = disk.file(name)
        self._turn = asyncio.Lock()

    async def write(self, writes: Sequence[Write]) -> None:
        weather, where = self._disk.weather, self._name.removesuffix(".sqlite")
        what = f"{where} {_table(writes[0])}"
        async with self._turn:
            self._life.step(f"commit {what}", " ".join(f"{_table(w)}:{len(w.rows)}" for w in writes))
            await asyncio.sleep(weather.delay_s(f"commit {where}"))
            if weather.happens("disk.full", where):
                self._life.trace("  the disk is full")
                raise Unavailable(f"{self._name}: the disk is full", runbook="disk-full")
            if not self._life.alive:
                return
            self._commit(writes)
        self._life.step(f"committed {what}")
        await asyncio.sleep(weather.delay_s(f"committed {where}", 0.0005))

    def _commit(self, writes: Sequence[Write]) -> None:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            for write in writes:
                for sql, parameters in statements(write):
                    self._file.execute(sql, parameters)
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._file.execute(sql, parameters).fetchall()

    async def close(self) -> None:
        pass


def _table(write: Write) -> str:
    """The table that a write is about: it names the step."""
    words = write.sql.split()
    return next((words[i + 1] for i, word in enumerate(words) if word in ("INTO", "UPDATE", "FROM")), "?")
