"""One package as a reading: complete, or nothing."""

import csv
import zipfile
import zlib
from collections.abc import Callable, Container, Generator, Sequence
from contextlib import AbstractContextManager
from typing import IO, Final

from adapters.files import text
from adapters.files.reading import FileReading
from adapters.files.settle import Candidate
from adapters.files.shelf import Shelf
from bus.adapter import EntityShape, Row
from bus.errors import Refused

from . import manifest
from .header import Layout, layout_of
from .manifest import Manifest
from .package import Package
from .people import People
from .rows import batches
from .tables import COLUMNS, METADATA, ROLE_COLUMNS, TABLES

NEVER_EMPTY: Final = frozenset({"orgs", "users", "roles", "classes", "enrollments"})
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError)


class OneRosterReading(FileReading):
    """A zip or a set of loose files."""

    def __init__(
        self,
        candidate: Candidate,
        package: Package,
        shelf: Shelf,
        *,
        entities: tuple[EntityShape, ...],
        people: Callable[[str], People],
        may_be_empty: Container[str] = (),
    ) -> None:
        sha256 = package.sha256()
        super().__init__(candidate, shelf, stamps=package.stamps, sha256=sha256, entities=entities)
        self._package = package
        self._people = people(sha256)
        self._may_be_empty = may_be_empty
        self._members: dict[str, str] = {}
        self._layouts: dict[str, Layout] = {}
        self._manifest = Manifest("", {})
        self._delta = False

    @property
    def full(self) -> bool:
        return not self._delta

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(table for table in self._asked() if table in self._members or self._only_roles(table))

    def close(self) -> None:
        """Let go of the file. Twice is fine."""
        self._package.close()

    # Runs in a thread.

    def _accept(self) -> None:
        self._people.keep()
        super()._accept()

    def _refuse(self, report: str) -> None:
        self._people.drop()
        super()._refuse(report)

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
        if not self._delta:
            self._refuse_empty(sorted(read & NEVER_EMPTY))

    def _read_manifest(self, present: set[str]) -> Manifest:
        if "manifest" not in self._members:
            if self._candidate.single:
                raise Refused([f"{self.name}: no {manifest.FILE} in it"], code="manifest")
            self._warn(f"{manifest.FILE}: it is not there: the files are read as bulk")
            return manifest.guessed(present)
        self._say_blemishes("manifest")
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

    def _refuse_empty(self, tables: Sequence[str]) -> None:
        """A run that found nothing writes a header, and calls it a success."""
        what = "a header and no rows (expected some: no district is without). Export again. If it is meant"
        reasons = [
            f"{table}.csv: {what}: may_be_empty: [{table}] in the source's settings"
            for table in tables
            if table not in self._may_be_empty and self._is_empty(table)
        ]
        if reasons:
            raise Refused(reasons, code="empty-table")

    def _is_empty(self, table: str) -> bool:
        with self._located(table), self._open(table) as stream:
            rows = text.reader(stream)
            next(rows)
            try:
                return not any(rows)
            except (csv.Error, text.Faulty, UnicodeDecodeError):  # told with its place when its rows are read
                return False

    def _header(self, table: str) -> Layout:
        described = TABLES[self._manifest.version][table]
        self._say_blemishes(table)
        with self._located(table), self._open(table) as stream:
            cells = next(text.reader(stream), None)
        if not cells:
            raise Refused([f"{described.file}:1:1: no header (expected columns of {table})"], code="header")
        layout, warnings = layout_of(described, cells, delta=self._delta, mapped=self._mapped(table))
        for warning in warnings:
            self._warn(warning)
        return layout

    def _say_blemishes(self, table: str) -> None:
        with self._located(table), self._open(table) as stream:
            for blemish in text.blemishes(stream):
                self._warn(f"{table}.csv:1: {blemish}")

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

    def _located(self, table: str) -> AbstractContextManager[None]:
        return text.located(f"{table}.csv", lambda: self._open(table), damaged=_DAMAGED)

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
