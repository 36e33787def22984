"""A folder from which a system imports OneRoster, as a destination."""

import asyncio
import glob
import os
import sqlite3
import string
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from bus.adapter import Delivery, Receipt, Settings, Surroundings
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome

from . import cells, manifest
from .cells import Unwritable
from .file import Change, write
from .held import Cells, Held, Holdings
from .tables import COLUMNS, METADATA, TABLES

_PLACEHOLDERS: Final = {"date", "time", "seq"}
_DAY_MS: Final = 24 * 3_600_000
_ASKED_MS: Final = 3_600_000
"""A held removal is asked for every few minutes. One that is not any more has left the work list."""


class DestinationSettings(Settings):
    """`folder`: where the zips are put. `kind`: `bulk` writes all records each time, `delta` what changed.

    `filename` may have {date} and {time} (UTC) and {seq}. `keep`: how many stay. Removals are held if a table
    of at least `shrink_min_rows` would lose more than `shrink_max` (a share of 1) of its rows in 24 hours.
    """

    folder: Path
    version: Literal["1.1", "1.2"] = "1.1"
    kind: Literal["bulk", "delta"] = "bulk"
    filename: str = "oneroster-{date}-{time}-{seq}.zip"
    keep: int = Field(default=14, ge=1)
    shrink_max: float = Field(default=0.20, ge=0, le=1)
    shrink_min_rows: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _check_filename(self) -> Self:
        names = {name for _, name, _, _ in string.Formatter().parse(self.filename) if name is not None}
        if unknown := sorted(names - _PLACEHOLDERS):
            raise ValueError(f"filename: {{{unknown[0]}}} (expected {{date}}, {{time}} or {{seq}})")
        if "/" in self.filename or not self.filename.endswith(".zip") or self.filename.startswith("."):
            raise ValueError("filename: expected a name that ends with .zip, without a folder")
        if self.kind == "delta" and "seq" not in names:
            raise ValueError(
                "filename: a delta needs {seq}, or it may overwrite one that nobody has read yet"
            )
        return self


class _Table(NamedTuple):
    """What may and must stand in a table, and its columns in the file."""

    allowed: frozenset[str]
    required: frozenset[str]
    header: tuple[str, ...]


class Destination:
    """Holds all records in a SQLite file of its own, and writes a zip for each batch that changes any.

    The rows are committed after the zip is in place: DELIVERED is true exactly then. A crash between the two
    leaves the batch to be repeated, and the same content is written again.
    """

    batch_records_max: ClassVar[int] = 50_000
    tables: ClassVar[Mapping[str, tuple[str, ...]]] = COLUMNS

    def __init__(self, settings: DestinationSettings, surroundings: Surroundings) -> None:
        self._settings, self._around = settings, surroundings
        self._tables = _described(settings.version, surroundings)
        self._holdings: Holdings | None = None
        self._lock = threading.Lock()

    async def check(self) -> None:
        """Is the folder there, is what is required mapped? Raises Unavailable, ConfigError."""
        problems = [
            problem
            for entity in self._around.entities
            for problem in self._unmapped(entity.table, entity.fields)
        ]
        if problems:
            raise ConfigError(f"{self._around.system}: {'; '.join(problems)}")
        await asyncio.to_thread(self._check_folder)

    async def apply(self, batch: Sequence[Delivery]) -> Sequence[Receipt]:
        """Take the batch and write the file. Raises Unavailable when there is no room, or no folder."""
        return await asyncio.to_thread(self._apply, batch)

    async def close(self) -> None:
        """Let go of the SQLite file. Twice is fine."""
        await asyncio.to_thread(self._close)

    # Checks

    def _unmapped(self, table: str, fields: tuple[tuple[str, str], ...]) -> list[str]:
        version = self._settings.version
        if table not in self._tables:
            return [
                f'"{table}" is no table of OneRoster {version} (expected one of {", ".join(TABLES[version])})'
            ]
        names, described = {name for name, _ in fields}, self._tables[table]
        unknown = [f"{table} has no column {name}" for name in sorted(names - described.allowed)]
        missing = [
            f"{table}.{name} is required and not mapped"
            for name in sorted(described.required - names - {"sourcedId"})
        ]
        return unknown + missing

    def _check_folder(self) -> None:
        folder = self._settings.folder
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{self._around.system}: {folder} is a file (expected a folder)")
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise self._unavailable("is not there, or we may not write in it")

    def _unavailable(self, what: str) -> Unavailable:
        where = f"{self._around.system}: {self._settings.folder}"
        return Unavailable(f"{where} {what}.", runbook="folder-unavailable")

    # Runs in a thread, one at a time: a call that was cancelled may still be at its work.

    def _apply(self, batch: Sequence[Delivery]) -> list[Receipt]:
        with self._lock:
            self._check_folder()
            try:
                held = self._holdings or self._open()
                with held.transaction():
                    receipts, changes = self._decide(held, batch)
                    receipts, changes = self._guard(held, receipts, changes)
                    name = self._put_and_write(held, changes)
                if name:
                    self._prune(held)
            except (OSError, sqlite3.OperationalError) as error:
                raise self._unavailable(f"cannot be written: {error}") from error
            return receipts

    def _close(self) -> None:
        with self._lock:
            if self._holdings:
                self._holdings.close()
            self._holdings = None

    def _open(self) -> Holdings:
        self._holdings = Holdings(self._around.state / "held.sqlite3")
        pattern = glob.escape(self._settings.filename)
        for name in _PLACEHOLDERS:
            pattern = pattern.replace(f"{{{name}}}", "*")
        for part in self._settings.folder.glob(pattern + ".part"):  # of a run that was killed
            part.unlink(missing_ok=True)
        return self._holdings

    def _decide(self, held: Holdings, batch: Sequence[Delivery]) -> tuple[list[Receipt], list[Change]]:
        """What becomes of each delivery, and what it changes (also if that is only the version)."""
        ids: dict[str, list[str]] = {}
        for delivery in batch:
            ids.setdefault(delivery.table, []).append(delivery.id)
        before = {table: held.get(table, found) for table, found in ids.items()}
        receipts, changes = [], []
        for place, delivery in enumerate(batch):
            now = before[delivery.table].get(delivery.id)
            outcome, reason, change = self._one(place, delivery, now)
            receipts.append(Receipt(delivery.key, outcome, reason, delivery.id))
            if change:
                changes.append(change)
        return receipts, changes

    def _one(self, place: int, delivery: Delivery, now: Held | None) -> tuple[Outcome, str, Change | None]:
        version = delivery.version.number
        if delivery.table not in self._tables:
            return (
                Outcome.FAILED,
                f'"{delivery.table}" is no table of OneRoster {self._settings.version}',
                None,
            )
        if now and version < now.version:
            return Outcome.SUPERSEDED, "", None
        before = now.cells if now else None
        try:
            after = self._cells(delivery, before)
        except Unwritable as why:
            return Outcome.FAILED, str(why), None
        if before == after and now and now.version == version:
            return Outcome.UNCHANGED, "", None
        change = Change(place, delivery.table, delivery.id, version, before, after)
        return (Outcome.DELIVERED if change.visible else Outcome.UNCHANGED), "", change

    def _cells(self, delivery: Delivery, before: Cells | None) -> Cells | None:
        """The row as it is to be, or None if it is to go. Raises Unwritable."""
        if delivery.op is Op.DELETE and not delivery.deactivate:
            return None
        described = self._tables[delivery.table]
        if delivery.op is Op.DELETE:
            if "enabledUser" not in described.allowed:
                raise Unwritable(f"{delivery.table} cannot be switched off. Use on_delete: delete")
            return {**before, "enabledUser": "false"} if before else None
        return cells.cells_of(
            delivery.table, delivery.id, delivery.fields, described.allowed, described.required
        )

    def _guard(
        self, held: Holdings, receipts: list[Receipt], changes: list[Change]
    ) -> tuple[list[Receipt], list[Change]]:
        """Hold all removals of a table that would lose too many rows; the rest goes on."""
        reasons = self._shrinks(held, changes)
        held_back = {
            change.place: reasons[change.table]
            for change in changes
            if change.removal and change.table in reasons
        }
        receipts = [
            receipt._replace(outcome=Outcome.HELD, reason=held_back[place]) if place in held_back else receipt
            for place, receipt in enumerate(receipts)
        ]
        return receipts, [change for change in changes if change.place not in held_back]

    def _shrinks(self, held: Holdings, changes: Sequence[Change]) -> dict[str, str]:
        """Why the removals of a table are held, by table.

        Against the most rows of a day, not the last file: a large loss comes in many small batches. And with
        all that are held already: else a part of them would go each day.
        """
        removals: dict[str, list[str]] = {}
        for change in changes:
            if change.removal:
                removals.setdefault(change.table, []).append(change.id)
        if not removals:
            return {}
        now_ms, reasons = self._around.now_ms(), {}
        now, peaks = held.counts(), held.peaks(now_ms - _DAY_MS)
        for table, ids in removals.items():
            grown = sum(change.grown for change in changes if change.table == table)
            rows, after = peaks.get(table, 0), now.get(table, 0) + grown
            after -= held.holds(table, ids, now_ms - _ASKED_MS)
            if rows >= self._settings.shrink_min_rows and after < rows * (1 - self._settings.shrink_max):
                limit = f"limit {self._settings.shrink_max:.0%} in 24 h"
                reasons[table] = f"are held: {table} would go from {rows} to {after} rows ({limit})"
                held.hold(table, ids, now_ms)
        return reasons

    def _put_and_write(self, held: Holdings, changes: Sequence[Change]) -> str:
        """Put the changes and, if any can be seen, the file that has them. Returns its name."""
        for table in {change.table: None for change in changes}:
            of_table = [change for change in changes if change.table == table]
            rows = [(change.id, change.version, change.after) for change in of_table]
            held.put(table, rows, sum(change.grown for change in of_table))
        visible = [change for change in changes if change.visible]
        if not visible:
            return ""
        seq, now_ms = held.last_file() + 1, self._around.now_ms()
        name = self._name(seq, now_ms)
        headers = {table: described.header for table, described in self._tables.items()}
        write(
            self._settings.folder / name,
            held,
            visible if self._settings.kind == manifest.DELTA else None,
            version=self._settings.version,
            headers=headers,
            now_ms=now_ms,
        )
        held.wrote(seq, name, held.counts(), now_ms)
        return name

    def _name(self, seq: int, now_ms: int) -> str:
        at = datetime.fromtimestamp(now_ms / 1000, UTC)
        return self._settings.filename.format(date=f"{at:%Y%m%d}", time=f"{at:%H%M%S}", seq=f"{seq:06d}")

    def _prune(self, held: Holdings) -> None:
        old = held.files_beyond(self._settings.keep)
        for _, name in old:
            (self._settings.folder / name).unlink(missing_ok=True)
        since_ms = self._around.now_ms() - _DAY_MS
        held.forget_files([seq for seq, _ in old], self._settings.keep, since_ms)


def _described(version: str, surroundings: Surroundings) -> dict[str, _Table]:
    mapped = {entity.table for entity in surroundings.entities}
    described = {}
    for name, table in TABLES[version].items():
        metadata = {
            field: None
            for entity in surroundings.entities
            if entity.table == name
            for field, _ in entity.fields
            if field.startswith(METADATA)
        }
        described[name] = _Table(
            cells.columns(version, name) | {*metadata},
            cells.required(version, name, roles="roles" not in mapped),
            (*table.columns, *metadata),
        )
    return described
