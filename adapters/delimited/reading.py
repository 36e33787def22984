"""A set of delimited files as a reading: complete, or nothing."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import repeat
from operator import itemgetter
from typing import IO, Final

from adapters.files import text
from adapters.files.chunks import Cells, check_width, chunks
from adapters.files.reading import FileReading
from adapters.files.settle import Candidate
from adapters.files.shelf import Shelf
from adapters.files.stamps import Loose
from adapters.files.text import Faulty
from bus.adapter import EntityShape, Row
from bus.errors import Refused

from .form import Dialect, foreign_mark
from .incoming import SourceSettings, TableIn
from .layout import Layout, layout_of
from .sets import Kind, Sets
from .values import FromText, from_text

_WORDS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}


class DelimitedReading(FileReading):
    """One file, or a set of them."""

    def __init__(
        self,
        candidate: Candidate,
        shelf: Shelf,
        *,
        settings: SourceSettings,
        sets: Sets,
        entities: Sequence[EntityShape],
    ) -> None:
        self._files = Loose(candidate.paths)
        sha256 = self._files.sha256()
        super().__init__(candidate, shelf, stamps=self._files.stamps, sha256=sha256, entities=entities)
        self._settings, self._sets = settings, sets
        self._dialect = Dialect.of(settings)
        self._placed: dict[Kind, str] = {}
        self._layouts: dict[Kind, Layout] = {}

    @property
    def full(self) -> bool:
        return self._settings.kind == "full"

    @property
    def tables(self) -> tuple[str, ...]:
        there = {kind.table for kind in self._placed}
        return tuple(table for table in self._asked() if table in there)

    def close(self) -> None:
        """Nothing stays open."""

    # Runs in a thread.

    def _verify(self) -> None:
        self._placed = self._sets.placed(self._files.names)
        self._check_complete()
        refusals: list[Refused] = []
        for kind in self._placed:
            try:
                self._layouts[kind] = self._layout(kind)
            except Refused as refused:
                refusals.append(refused)
        if refusals:
            reasons = [reason for refused in refusals for reason in refused.reasons]
            raise Refused(reasons, code=refusals[0].code)

    def _check_complete(self) -> None:
        """A full export has the file of each table."""
        missing = [table for table in self._asked() if self.full and Kind(table, False) not in self._placed]
        for table in missing:
            if self._table(table).optional:
                self._warn(f"{table}: its file is not there: nothing of it changes")
        needed = [table for table in missing if not self._table(table).optional]
        if needed:
            what = f"{self.name}: no file of {', '.join(needed)}. Was the export cut short?"
            raise Refused([what], code="missing-file")

    def _layout(self, kind: Kind) -> Layout:
        file, form = self._placed[kind], self._table(kind.table)
        with self._located(file), self._open(file) as stream:
            if what := foreign_mark(stream.read(3), self._settings.encoding):
                raise Faulty(1, 1, what, "encoding")
            stream.seek(0)
            header = next(self._dialect.read(stream), []) if self._settings.header else form.columns
        if not header and self._settings.header:
            raise Refused([f"{file}:1:1: no header (expected the columns of {kind.table})"], code="header")
        wanted = self._wanted(kind)
        if kind.deletes and not self._settings.header:
            header = wanted
        operation = self._settings.operation
        layout, warnings = layout_of(
            file,
            header,
            wanted=wanted,
            aliases=form.aliases,
            operation=operation.column if operation and not kind.deletes else "",
        )
        for warning in warnings:
            self._warn(warning)
        return layout

    def _batches(self, table: str) -> Generator[list[Row], None, None]:
        for deletes in (False, True):
            if (kind := Kind(table, deletes)) in self._placed:
                file = self._placed[kind]
                with self._located(file), self._open(file) as stream:
                    yield from self._rows(kind, file, stream)

    def _rows(self, kind: Kind, file: str, stream: IO[bytes]) -> Iterator[list[Row]]:
        layout, wanted = self._layouts[kind], self._types(kind.table)
        delimiter = _WORDS.get(self._settings.delimiter, self._settings.delimiter)
        convert = from_text(self._settings, [wanted.get(name, "text") for name in layout.names])
        reader = self._dialect.read(
            stream, lambda line: self._warn(f"{file}:{line}: the last line has no end")
        )
        if self._settings.header:
            next(reader)
        empty = True
        for chunk, lines in chunks(file, reader, self._warn):
            empty = False
            check_width(chunk, lines, layout.width, delimiter)
            deleted = repeat(True) if kind.deletes else self._deleted(layout, chunk, lines)
            yield list(map(Row._make, zip(lines, _values(layout, convert, chunk), deleted, strict=False)))
        if empty and self.full:
            self._warn(f"{file}: no rows")

    def _deleted(self, layout: Layout, chunk: Cells, lines: Sequence[int]) -> Iterator[bool]:
        """For each row: does it say that its record is gone? Raises Faulty."""
        operation = self._settings.operation
        if layout.operation < 0 or operation is None:
            return repeat(False)
        said = [word.strip().casefold() for word in map(itemgetter(layout.operation), chunk)]
        known = dict.fromkeys([operation.create, operation.update, operation.delete])
        if unknown := set(said) - {word.casefold() for word in known}:
            line = next(line for line, word in zip(lines, said, strict=True) if word in unknown)
            what = f"an operation that is none (expected {', '.join(word or 'blank' for word in known)})"
            raise Faulty(line, layout.operation + 1, what, "operation")
        return map(operation.delete.casefold().__eq__, said)

    def _open(self, file: str) -> IO[bytes]:
        return self._files.open(file)

    def _located(self, file: str) -> AbstractContextManager[None]:
        return text.located(file, lambda: self._open(file), encoding=self._settings.encoding)

    # What is asked for

    def _asked(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entity.table for entity in self._entities))

    def _table(self, table: str) -> TableIn:
        return self._settings.tables.get(table, TableIn())

    def _wanted(self, kind: Kind) -> list[str]:
        """The columns that the configuration reads; of what is gone only the id."""
        of_table = [entity for entity in self._entities if entity.table == kind.table]
        ids = [entity.id_field for entity in of_table]
        fields = [name for entity in of_table for name, _ in entity.fields if not kind.deletes]
        return list(dict.fromkeys(ids + fields))

    def _types(self, table: str) -> Mapping[str, str]:
        """The hub's type of each column; text where two entities read it differently."""
        found: dict[str, str] = {}
        for entity in self._entities:
            for name, type_ in entity.fields if entity.table == table else ():
                found[name] = type_ if found.get(name, type_) == type_ else "text"
        return found


def _values(layout: Layout, convert: FromText | None, chunk: Cells) -> Iterator[dict[str, str]]:
    picked = map(layout.pick, chunk)
    cells = map(convert, picked) if convert else picked
    return map(dict, map(zip, repeat(layout.names), cells))
