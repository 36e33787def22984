"""Files as a reading: complete, or nothing. What each kind of file adds stands in its adapter."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence

from bus.adapter import EntityShape, Row

from .settle import Candidate
from .shelf import Shelf
from .stamps import Stamp, observed_at_ms, size_bytes


class FileReading(ABC):
    """One candidate of a watched folder. See bus.adapter.Reading."""

    def __init__(
        self,
        candidate: Candidate,
        shelf: Shelf,
        *,
        stamps: tuple[Stamp, ...],
        sha256: str,
        entities: Sequence[EntityShape],
    ) -> None:
        self.name = candidate.name
        self.sha256 = sha256
        self.size_bytes = size_bytes(stamps)
        self.observed_at_ms = observed_at_ms(stamps)
        self._candidate = candidate._replace(stamps=stamps)
        self._shelf, self._entities = shelf, entities
        self._warnings: dict[str, None] = {}

    async def open(self) -> None:
        """All but the rows. Raises Refused."""
        await asyncio.to_thread(self._verify)

    @property
    @abstractmethod
    def full(self) -> bool: ...

    @property
    @abstractmethod
    def tables(self) -> tuple[str, ...]: ...

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """All rows of a table. Raises Refused with file, line and column."""
        return _in_thread(self._batches(table))

    async def accept(self) -> None:
        """Into done/. Safe to repeat, also after a restart, when nothing of it was read."""
        self.close()
        await asyncio.to_thread(self._accept)

    async def refuse(self, report: str) -> None:
        """Into refused/ with the report beside it. Safe to repeat."""
        self.close()
        await asyncio.to_thread(self._refuse, report)

    @abstractmethod
    def close(self) -> None:
        """Let go of the files. Twice is fine."""

    def waits(self) -> bool:
        """It was neither accepted nor refused."""
        return any(path.exists() for path in self._candidate.paths)

    # Runs in a thread.

    @abstractmethod
    def _verify(self) -> None:
        """All that can be checked without reading rows. Raises Refused."""

    @abstractmethod
    def _batches(self, table: str) -> Generator[list[Row], None, None]:
        """All rows of a table. Raises Refused."""

    def _accept(self) -> None:
        self._shelf.accept(self._candidate)

    def _refuse(self, report: str) -> None:
        self._shelf.refuse(self._candidate, report)

    def _warn(self, warning: str) -> None:
        self._warnings[warning] = None


async def _in_thread(batches_read: Generator[list[Row], None, None]) -> AsyncGenerator[list[Row], None]:
    """The same batches, each read in a thread: the router goes on meanwhile."""
    lock = threading.Lock()

    def step() -> list[Row] | None:
        with lock:
            return next(batches_read, None)

    try:
        while (batch := await asyncio.to_thread(step)) is not None:
            yield batch
    finally:
        with lock:  # a step that was cancelled may still be at its batch
            batches_read.close()
