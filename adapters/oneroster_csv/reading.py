"""One package as a reading: complete, or nothing."""

import asyncio
import csv
import threading
import zipfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from bus.adapter import EntityShape, Row
from bus.errors import Refused

from . import manifest, text
from .header import Layout, layout_of
from .manifest import Manifest
from .package import Package, observed_at_ms, size_bytes
from .people import People
from .rows import batches
from .settle import Candidate
from .shelf import Shelf
from .tables import COLUMNS, METADATA, ROLE_COLUMNS, TABLES
from .text import Faulty

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError)


class OneRosterReading:
    """A zip or a set of loose files. See bus.adapter.Reading."""

    def __init__(
        self,
        candidate: Candidate,
        package: Package,
        shelf: Shelf,
        *,
        entities: tuple[EntityShape, ...],
        people: Callable[[str], People],
    ) -> None:
        self.name = candidate.name
        self.sha256 = package.sha256()
        self.size_bytes = size_bytes(package.stamps)
        self.observed_at_ms = observed_at_ms(package.stamps)
        self._candidate = candidate._replace(stamps=package.stamps)
        self._package, self._shelf, self._entities = package, shelf, entities
        self._people = people(self.sha256)
        self._warnings: dict[str, None] = {}
        self._members: dict[str, str] = {}
        self._layouts: dict[str, Layout] = {}
        self._manifest = Manifest("", {})
        self._delta = False

    async def open(self) -> None:
        """Archive, manifest and headers. Raises Refused."""
        await asyncio.to_thread(self._verify)

    @property
    def full(self) -> bool:
        return not self._delta

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(table for table in self._asked() if table in self._members or self._only_roles(table))

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

    def close(self) -> None:
        """Let go of the file. Twice is fine."""
        self._package.close()

    def waits(self) -> bool:
        """It was neither accepted nor refused."""
        return any(path.exists() for path in self._candidate.paths)

    # Runs in a thread.

    def _accept(self) -> None:
        self._people.keep()
        self._shelf.accept(self._candidate)

    def _refuse(self, report: str) -> None:
        self._people.drop()
        self._shelf.refuse(self._candidate, report)

    # Checks before the first row

    def _verify(self) -> None:
        self._members = self._package.verify(self._warn)
        self._manifest = self._read_manifest(self._members.keys() - {"manifest"})
        read = {table for table in self._asked() if table in self._members}
        if self._joins("users") and "roles" in self._members and "users" in self._asked():
            read.add("roles")
        kinds = {self._manifest.kinds[table] for table in read}
        if len(kinds) > 1:
            what = "bulk files and delta files in one package. Send them as two packages."
            raise Refused([f"{manifest.FILE}: {what}"], code="mixed-kinds")
        self._delta = manifest.DELTA in kinds
        self._say_what_lacks()
        self._read_headers(sorted(read))

    def _read_manifest(self, present: set[str]) -> Manifest:
        if "manifest" not in self._members:
            if self._candidate.zipped:
                raise Refused([f"{self.name}: no {manifest.FILE} in it"], code="manifest")
            self._warn(f"{manifest.FILE}: it is not there: the files are read as bulk")
            return manifest.guessed(present)
        with self._open("manifest") as stream:
            return manifest.read(stream, present, self._warn)

    def _say_what_lacks(self) -> None:
        for table in self._asked():
            if table not in self._members:
                self._warn(f"{table}.csv: it is not there: nothing of it changes")
        if "users" in self.tables and self._joins("users") and "roles" not in self._members and self.full:
            what = "users.csv: no roles.csv beside it (OneRoster 1.2 has role and school of a user there)"
            raise Refused([what], code="no-roles")

    def _read_headers(self, tables: Sequence[str]) -> None:
        problems: list[str] = []
        for table in tables:
            try:
                self._layouts[table] = self._header(table)
            except Refused as refused:
                problems += refused.reasons
        if problems:
            raise Refused(problems, code="header")

    def _header(self, table: str) -> Layout:
        described = TABLES[self._manifest.version][table]
        with self._located(table), self._open(table) as stream:
            cells = next(text.reader(stream), None)
        if not cells:
            raise Refused([f"{described.file}:1:1: no header (expected columns of {table})"], code="header")
        layout, warnings = layout_of(described, cells, delta=self._delta, mapped=self._mapped(table))
        for warning in warnings:
            self._warn(warning)
        return layout

    # Rows

    def _batches(self, table: str) -> Generator[list[Row], None, None]:
        if not self._joins(table):
            return self._plain(table)
        roles, users = self._plain("roles"), self._plain(table)
        return self._people.joined(roles, users, delta=self._delta, warn=self._warn)

    def _plain(self, table: str) -> Generator[list[Row], None, None]:
        if table not in self._layouts:  # a delta of users without roles, or of roles without users
            return
        with self._located(table), self._open(table) as stream:
            rows = batches(f"{table}.csv", stream, self._layouts[table], delta=self._delta, warn=self._warn)
            yield from rows

    def _open(self, table: str) -> IO[bytes]:
        return self._package.open(self._members[table])

    @contextmanager
    def _located(self, table: str) -> Iterator[None]:
        """What goes wrong in the bytes of a file becomes Refused, with the place."""
        file = f"{table}.csv"
        try:
            yield
        except Faulty as faulty:
            raise faulty.refused(file) from None
        except csv.Error as error:
            raise Refused([f"{file}:1:1: the header is not CSV: {error}"], code="quoting") from None
        except UnicodeDecodeError:
            with self._open(table) as stream:
                raise text.undecodable(stream).refused(file) from None
        except _DAMAGED:
            raise Refused([f"{file}: it is damaged, or changed while it was read"], code="damaged") from None

    # What is asked for

    def _asked(self) -> tuple[str, ...]:
        """The tables of the configuration, each once; all that are there if it names none."""
        named = tuple(dict.fromkeys(entity.table for entity in self._entities))
        return named or tuple(sorted(self._members.keys() - {"manifest"}))

    def _only_roles(self, table: str) -> bool:
        """Is it a delta that says of users no more than their roles?"""
        return self._joins(table) and self._delta and "roles" in self._members

    def _joins(self, table: str) -> bool:
        return table == "users" and self._manifest.version == "1.2"

    def _mapped(self, table: str) -> list[str]:
        """The columns that the configuration reads of a table."""
        names = [
            name
            for entity in self._entities
            if entity.table == table
            for name in (entity.id_field, *(field for field, _ in entity.fields))
            if name in COLUMNS[table] or name.startswith(METADATA)
        ]
        return [name for name in names if not (self._joins(table) and name in ROLE_COLUMNS)]

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
