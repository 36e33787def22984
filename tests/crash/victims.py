"""What can happen to each system of the crash test, and how it goes on afterwards."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from real_nats import Wire


class How(StrEnum):
    """What happens."""

    KILL = "killed"  # SIGKILL
    STOP = "stopped"  # SIGSTOP, and SIGCONT later
    CUT = "cut"  # all connections at once
    SHUT = "shut"  # these, and nobody gets a new one for a while
    DEAF = "unheard"  # what it answers is lost, then the connections too
    SLOW = "slow"  # what it answers comes later
    LOCK = "locked"  # somebody else has the database
    AWAY = "away"  # the folder is not there


class Victim(Protocol):
    """A system that bears it."""

    hows: Sequence[How]

    def heard(self) -> int:
        """A number that grows with what the router tells it."""
        ...

    async def suffers(self, how: How, lasts_s: float) -> None:
        """It happens, and is over when this returns."""
        ...


class Process:
    """A program that is killed, stopped and started again. Its log outlives it."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self.log = log
        self.exits: list[int] = []
        """How it ended by itself."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._logged = 0  # bytes, when it was last started

    def start(self) -> None:
        self._logged = self.log.stat().st_size if self.log.exists() else 0
        path = os.pathsep.join(str(Path(__file__).parents[n]) for n in (1, 2))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path}
            )

    def says(self, text: str) -> bool:
        """Is it in its log since it was last started?"""
        if self._process is None or not self.log.exists():
            return False
        with self.log.open() as log:
            log.seek(self._logged)
            return text in log.read()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its sockets and does nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def revive(self) -> None:
        """What a service manager does: who has ended by himself is started again."""
        if self._process is not None and (code := self._process.poll()) is not None:
            self.exits.append(code)
            self.start()


class Served(Victim):
    """A process, and the wire to it if there is one."""

    def __init__(self, process: Process, wire: Wire | None = None) -> None:
        self.process = process
        self._wire = wire
        self.hows = (How.KILL, How.STOP)
        if wire is not None:
            self.hows = (How.KILL, How.STOP, How.CUT, How.SHUT, How.DEAF, How.SLOW)

    def heard(self) -> int:
        return self._wire.heard if self._wire else 0

    async def suffers(self, how: How, lasts_s: float) -> None:
        if how is How.KILL:
            self.process.kill()
            await asyncio.sleep(lasts_s)  # here and below: that long is what the plan says of it
            self.process.start()
            return
        if how is How.STOP:
            self.process.pause()
            await asyncio.sleep(lasts_s)
            self.process.resume()
            return
        assert self._wire is not None
        self._wire.refusing, self._wire.deaf = how is How.SHUT, how is How.DEAF
        if how is How.SLOW:
            self._wire.flowing.clear()
        if how in (How.CUT, How.SHUT):
            self._wire.cut()
        if how is not How.CUT:
            await asyncio.sleep(lasts_s)
        if how is How.DEAF:
            self._wire.cut()  # nobody hears the rest of an answer without its beginning
        self._wire.refusing = self._wire.deaf = False
        self._wire.flowing.set()


class Database(Victim):
    """A SQLite file that somebody else locks."""

    hows = (How.LOCK,)

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: Mapping[Path, int] = {}
        self._changes = 0

    def heard(self) -> int:
        log = self._file.with_name(f"{self._file.name}-wal")
        now = log.stat().st_mtime_ns if log.exists() else 0
        self._changes += self._seen.get(log, 0) != now
        self._seen = {log: now}
        return self._changes

    async def suffers(self, how: How, lasts_s: float) -> None:
        with closing(sqlite3.connect(self._file, timeout=0, isolation_level=None)) as connection:
            while True:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    break
                except sqlite3.OperationalError:
                    await asyncio.sleep(0.001)  # the router has it just now
            await asyncio.sleep(lasts_s)
            connection.execute("ROLLBACK")


class Folder(Victim):
    """A folder that is not there for a while, as when a share is not mounted."""

    hows = (How.AWAY,)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def heard(self) -> int:
        return sum(1 for _ in self._folder.iterdir()) if self._folder.exists() else 0

    async def suffers(self, how: How, lasts_s: float) -> None:
        away = self._folder.with_name(f"{self._folder.name}.away")
        self._folder.rename(away)
        await asyncio.sleep(lasts_s)
        away.rename(self._folder)


def program(name: str, module: str, port: int, folder: Path) -> Process:
    """A system of tests/crash in a process of its own, with its book in the folder."""
    command = [sys.executable, "-m", module, str(port), folder / f"{name}.sqlite"]
    return Process(name, command, folder / f"{name}.log")
