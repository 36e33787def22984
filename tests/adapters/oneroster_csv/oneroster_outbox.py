"""A folder that a destination writes to, with a clock of its own, and deliveries for it."""

import asyncio
import csv
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.oneroster_csv import Destination, DestinationSettings
from bus.adapter import Delivery, EntityShape, Surroundings
from bus.messages import Op, Outcome, Value, Version

DAY_MS = 24 * 3_600_000
ORG: dict[str, Value] = {"name": "Elm", "type": "school"}
PERSON: dict[str, Value] = {
    "enabledUser": True,
    "orgSourcedIds": ("o1", "o2"),
    "role": "student",
    "username": "u1",
    "givenName": "Tam",
    "familyName": "Elmwick",
    "email": None,
}


def org(id_: str, seq: int = 1, op: Op = Op.UPDATE, **fields: Value) -> Delivery:
    return deliver("orgs", id_, seq, op, {**ORG, **fields})


def deliver(
    table: str, id_: str, seq: int, op: Op, fields: Mapping[str, Value], *, deactivate: bool = False
) -> Delivery:
    return Delivery(f"x/{id_}", id_, "x", table, op, deactivate, Version(1, seq), "", fields)


def outcomes(receipts: object) -> list[Outcome]:
    assert isinstance(receipts, list)
    return [receipt.outcome for receipt in receipts]


@dataclass
class Outbox:
    """A folder that a destination writes to."""

    root: Path
    now_ms: int = 1_800_000_000_000

    @property
    def folder(self) -> Path:
        return self.root / "out"

    def destination(self, *entities: EntityShape, **settings: object) -> Destination:
        around = Surroundings(
            system="lms",
            state=self.root / "state",
            now_ms=lambda: self.now_ms,
            sleep=asyncio.sleep,
            entities=entities,
        )
        return Destination(DestinationSettings.model_validate({"folder": self.folder, **settings}), around)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def last(self, table: str) -> list[dict[str, str]]:
        """The rows of a table in the newest file."""
        with zipfile.ZipFile(self.folder / self.files()[-1]) as archive:
            text = io.TextIOWrapper(archive.open(f"{table}.csv"), "utf-8", newline="")
            return list(csv.DictReader(text))
