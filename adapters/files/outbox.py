"""A folder into which we write files for a system: what becomes of each delivery, and when it is in place."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol

from pydantic import Field

from bus.adapter import Delivery, Receipt, Settings, Surroundings
from bus.errors import Unavailable
from bus.messages import Outcome

from .change import Change, Unwritable
from .held import Cells, Held, Holdings, Placing
from .place import PART, check_folder, put, sync_folder, unavailable

_DAY_MS: Final = 24 * 3_600_000
_ASKED_MS: Final = 3_600_000
"""A held removal is asked for every few minutes. One that is not any more has left the work list."""
_UNREAD_MS: Final = 14 * _DAY_MS
"""How long a file that holds changes only stays for its reader, however many come after it."""


class OutboxSettings(Settings):
    """`folder`: where the files are put. `keep`: how many writes stay there.

    Removals are held if a table of at least `shrink_min_rows` would lose more than `shrink_max` (a share of
    1) of its rows in 24 hours.
    """

    folder: Path
    keep: int = Field(default=14, ge=1)
    shrink_max: float = Field(default=0.20, ge=0, le=1)
    shrink_min_rows: int = Field(default=20, ge=1)


class Write(NamedTuple):
    """One write. `changes` None: all that is held. `seq` is a number that no write before it had."""

    folder: Path
    held: Holdings
    changes: Sequence[Change] | None
    seq: int
    now_ms: int


class Format(Protocol):
    """What a kind of file makes of records."""

    def no_table(self, table: str) -> str:
        """Why it has no such table; '' if it has."""
        ...

    def local_id(self, delivery: Delivery) -> str:
        """The id under which the record stands in the file."""
        ...

    def elsewhere(self, delivery: Delivery) -> str:
        """The system's own id of a record that it has, though it may be that we never wrote it; '' if not."""
        ...

    def cells(self, delivery: Delivery, before: Cells | None) -> Cells | None:
        """The row as it is to be, or None if it is to go. Raises Unwritable."""
        ...

    def write(self, write: Write) -> tuple[int, list[str]]:
        """Write the part of each file. The number that it took, and their names. Raises OSError."""
        ...

    def owns(self, name: str) -> bool:
        """Is it a name that its files have?"""
        ...


class Outbox:
    """A destination: all records in a SQLite file of its own, and the files written that a batch changes.

    First the parts are written, then rows and the names of the parts are committed, then the parts take
    their places, then the receipts are given. A crash before the commit leaves the batch to be repeated, as
    if it had never come. After the commit the next start puts in place what is not, and the batch repeated
    writes no second file. A part that is neither there nor marked as placed was placed, and collected since.
    """

    batch_records_max: ClassVar[int] = 50_000

    def __init__(
        self,
        settings: OutboxSettings,
        surroundings: Surroundings,
        format_: Format,
        *,
        changes_only: bool,
    ) -> None:
        self._settings, self._around, self._format = settings, surroundings, format_
        self._changes_only = changes_only
        self._holdings: Holdings | None = None
        self._late: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    async def check(self) -> None:
        """Is the folder there? Raises Unavailable."""
        await asyncio.to_thread(self._check_folder)

    async def apply(self, batch: Sequence[Delivery]) -> Sequence[Receipt]:
        """Take the batch and write the files. Raises Unavailable when there is no room, or no folder."""
        return await asyncio.to_thread(self._apply, batch)

    async def close(self) -> None:
        """Let go of the SQLite file. Twice is fine."""
        await asyncio.to_thread(self._close)

    def _newest(self, table: str, id_column: str) -> tuple[list[str], dict[str, str]]:
        """The names of the files of the last write, all in place; and whose in them is what is no id of ours.

        Runs in a thread. Raises Unavailable.
        """
        with self._lock:
            self._check_folder()
            try:
                held = self._holdings or self._open()
                self._place(held, late=True)
                return held.newest(), held.otherwise(table, id_column)
            except (OSError, sqlite3.OperationalError) as error:
                raise self._cannot(f"cannot be looked at: {error}") from error

    # Runs in a thread, one at a time: a call that was cancelled may still be at its work.

    def _check_folder(self) -> None:
        check_folder(self._around.system, self._settings.folder, reads=False)

    def _apply(self, batch: Sequence[Delivery]) -> list[Receipt]:
        with self._lock:
            self._check_folder()
            try:
                held = self._holdings or self._open()
                self._place(held, late=True)
                receipts = self._take(held, batch)
                if self._place(held):
                    self._prune(held)
            except (OSError, sqlite3.OperationalError) as error:
                raise self._cannot(f"cannot be written: {error}") from error
            return receipts

    def _close(self) -> None:
        with self._lock:
            if self._holdings:
                self._holdings.close()
            self._holdings = None

    def _cannot(self, what: str) -> Unavailable:
        return unavailable(self._around.system, self._settings.folder, what)

    def _open(self) -> Holdings:
        self._holdings = Holdings(self._around.state / "held.sqlite3")
        self._sweep(self._holdings)
        return self._holdings

    def _sweep(self, held: Holdings) -> None:
        """Remove the parts of a run that came to no end."""
        wanted = {name for write in held.placing() for name in write.names}
        for part in self._settings.folder.glob(f"*{PART}"):
            name = part.name.removesuffix(PART)
            if name not in wanted and self._format.owns(name):
                part.unlink(missing_ok=True)

    def _take(self, held: Holdings, batch: Sequence[Delivery]) -> list[Receipt]:
        """All of it into the SQLite file, and into the parts of files. Or nothing."""
        try:
            with held.transaction():
                receipts, changes = self._decide(held, batch)
                receipts, changes = self._guard(held, receipts, changes)
                self._put_and_write(held, changes)
        except BaseException:
            with suppress(OSError):
                self._sweep(held)
            raise
        return receipts

    def _place(self, held: Holdings, *, late: bool = False) -> bool:
        """Put in place what was written, if anything was. `late`: of a batch whose receipts nobody got."""
        folder, writes = self._settings.folder, held.placing()
        for write in writes:
            for name in write.names:
                put(folder / name)
            sync_folder(folder)
            held.placed(write.seq)
            self._late.update(write.rows if late else ())
        return bool(writes)

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
            receipts.append(Receipt(delivery.key, outcome, reason, self._format.local_id(delivery)))
            if change:
                changes.append(change)
        return receipts, changes

    def _one(self, place: int, delivery: Delivery, now: Held | None) -> tuple[Outcome, str, Change | None]:
        version = delivery.version.number
        if why := self._format.no_table(delivery.table):
            return Outcome.FAILED, why, None
        if now and version < now.version:
            return Outcome.SUPERSEDED, "", None
        before = now.cells if now else None
        try:
            after = self._format.cells(delivery, before)
        except Unwritable as unwritable:
            return Outcome.FAILED, str(unwritable), None
        if before == after and now and now.version == version and not delivery.again:
            return self._again((delivery.table, delivery.id)), "", None
        elsewhere = "" if now else self._format.elsewhere(delivery)
        change = Change(
            place, delivery.table, delivery.id, version, before, after, elsewhere, again=delivery.again
        )
        return (Outcome.DELIVERED if change.visible else Outcome.UNCHANGED), "", change

    def _again(self, row: tuple[str, str]) -> Outcome:
        """It is held already. Was that said to anybody?"""
        if row not in self._late:
            return Outcome.UNCHANGED
        self._late.remove(row)
        return Outcome.DELIVERED

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

    def _put_and_write(self, held: Holdings, changes: Sequence[Change]) -> None:
        """Put the changes and, if any can be seen, write the parts of the files that have them."""
        for table in {change.table: None for change in changes}:
            of_table = [change for change in changes if change.table == table]
            rows = [(change.id, change.version, change.after) for change in of_table]
            held.put(table, rows, sum(change.grown for change in of_table))
        visible = [change for change in changes if change.visible]
        if not visible:
            return
        now_ms, folder = self._around.now_ms(), self._settings.folder
        shown = visible if self._changes_only else None
        seq, names = self._format.write(Write(folder, held, shown, held.last_file() + 1, now_ms))
        sync_folder(folder)
        rows_shown = [(change.table, change.id) for change in visible]
        held.wrote(Placing(seq, names, rows_shown), held.counts(), now_ms)

    def _prune(self, held: Holdings) -> None:
        now_ms, keep = self._around.now_ms(), self._settings.keep
        before_ms = now_ms - _UNREAD_MS if self._changes_only else now_ms + 1
        old, kept = held.files_beyond(keep, before_ms)
        for name in {name for _, names in old for name in names} - kept:
            (self._settings.folder / name).unlink(missing_ok=True)
        held.forget_files([seq for seq, _ in old], keep, now_ms - _DAY_MS)
