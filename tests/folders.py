"""Folders that an adapter reads from or writes to, with a clock of their own, and deliveries for them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.adapter import Delivery, EntityShape, Receipt, Surroundings
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
