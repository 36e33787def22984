"""Folders that an adapter reads from or writes to, with a clock of their own, and deliveries for them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bus.adapter import Delivery, EntityShape, Reading, Receipt, Row, Surroundings
from bus.errors import Refused
from bus.messages import Op, Outcome, Value, Version

DAY_MS = 24 * 3_600_000


def deliver(
    table: str,
    id_: str,
    seq: int,
    op: Op,
    fields: Mapping[str, Value],
    *,
    deactivate: bool = False,
    local_id: str = "",
) -> Delivery:
    return Delivery(f"x/{id_}", id_, "x", table, op, deactivate, Version(1, seq), local_id, fields)


def outcomes(receipts: Sequence[Receipt]) -> list[Outcome]:
    return [receipt.outcome for receipt in receipts]


@dataclass
class OutFolder:
    """A folder that a destination writes to."""

    root: Path
    now_ms: int = 1_800_000_000_000

    @property
    def folder(self) -> Path:
        return self.root / "out"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def around(self, *entities: EntityShape) -> Surroundings:
        return Surroundings(
            system="lms",
            state=self.state,
            now_ms=lambda: self.now_ms,
            sleep=asyncio.sleep,
            entities=entities,
        )

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


async def rows(reading: Reading, table: str) -> list[Row]:
    """All rows of a table."""
    return [row async for batch in reading.rows(table) for row in batch]


@dataclass
class InFolder(ABC):
    """A folder that a source watches. Time passes only when the source sleeps."""

    root: Path
    now_ms: int = 1_800_000_000_000
    waiting: list[tuple[str, str]] = field(default_factory=list)
    on_sleep: list[Callable[[], object]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / "in"

    def around(self, *entities: EntityShape) -> Surroundings:
        return Surroundings(
            system="sis",
            state=self.root / "state",
            now_ms=lambda: self.now_ms,
            sleep=self._sleep,
            entities=entities,
            waiting=lambda name, why: self.waiting.append((name, why)),
        )

    @abstractmethod
    def source(self, *entities: EntityShape, **settings: object) -> Any:
        """A source of the folder, which takes files at once."""

    @asynccontextmanager
    async def reading(self, *entities: EntityShape, **settings: object) -> AsyncIterator[Reading]:
        """The next reading of a new source."""
        async with asyncio.timeout(20), aclosing(self.source(*entities, **settings).read()) as readings:
            yield await anext(readings)

    async def refused(self, *entities: EntityShape, **settings: object) -> Refused:
        """Why the next one is refused."""
        async with self.reading(*entities, **settings) as reading:
            with pytest.raises(Refused) as caught:
                await reading.open()
                for table in reading.tables:
                    await rows(reading, table)
        return caught.value

    async def _sleep(self, delay_s: float) -> None:
        self.now_ms += round(delay_s * 1000)
        if self.on_sleep:
            self.on_sleep.pop(0)()
        await asyncio.sleep(0)

    def names(self, place: str = "") -> list[str]:
        """What lies in the folder, or in one of its places."""
        folder = self.folder / place
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
