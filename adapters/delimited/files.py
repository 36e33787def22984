"""Records as delimited files: all that is held, or what one batch changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from pathlib import Path
from typing import Final, NamedTuple

from adapters.files.change import Change, Unwritable
from adapters.files.held import Cells, Holdings
from adapters.files.names import Template, free
from adapters.files.outbox import Write
from adapters.files.place import part_at
from bus.adapter import Delivery, EntityShape
from bus.messages import Op

from .form import Dialect, Operation, encoded
from .outgoing import DestinationSettings, TableOut
from .values import to_text

_LINES_AT_ONCE: Final = 1_000
_BLANKS: Final = repeat("")
_NO_OPERATION: Final = Operation()


class Table(NamedTuple):
    """One table: the names of its files, its columns, its formats."""

    name: str
    file: Template
    deletes: Template | None
    id_field: str
    columns: tuple[str, ...]
    mapped: frozenset[str]
    dates: Mapping[str, str]
    deactivated: Mapping[str, str]


def tables_of(settings: DestinationSettings, entities: Sequence[EntityShape]) -> dict[str, Table]:
    """The tables that are mapped, by name. Several entities may go into one."""
    names = dict.fromkeys(one.table for one in entities)
    return {name: _table(settings, name, [one for one in entities if one.table == name]) for name in names}


def _table(settings: DestinationSettings, name: str, entities: Sequence[EntityShape]) -> Table:
    written = settings.tables.get(name, TableOut())
    types = {field: type_ for entity in entities for field, type_ in entity.fields}
    ids = [entity.id_field for entity in entities]
    usual = {field: settings.dates for field, type_ in types.items() if type_ == "date" and settings.dates}
    columns = list(written.columns or dict.fromkeys([*ids, *types]))
    if settings.operation and settings.operation.column not in columns:
        columns.append(settings.operation.column)
    return Table(
        name=name,
        file=Template(written.file or settings.file),
        deletes=Template(written.deletes) if written.deletes else None,
        id_field=ids[0],
        columns=tuple(columns),
        mapped=frozenset([*ids, *types]),
        dates={**usual, **written.dates},
        deactivated=written.deactivated,
    )


class _File(NamedTuple):
    """A file that is to be written: rows come as they are asked for."""

    table: Table
    template: Template
    columns: Sequence[str]
    rows: Iterable[Cells]

    def name(self, write: Write, seq: int) -> str:
        return self.template.name(at_ms=write.now_ms, seq=seq, table=self.table.name)


class Files:
    """See adapters.files.outbox.Format."""

    def __init__(self, settings: DestinationSettings, entities: Sequence[EntityShape]) -> None:
        self._settings, self._tables = settings, tables_of(settings, entities)
        self._operation = settings.operation
        dialect = Dialect.of(settings, settings.line_end, quote_all=settings.quoting == "all")
        self._line, self._fits = dialect.line(), dialect.fits()
        self._texts = {name: to_text(settings, table.dates) for name, table in self._tables.items()}

    # Records

    def no_table(self, table: str) -> str:
        return "" if table in self._tables else f'"{table}" is no table of this system'

    def local_id(self, delivery: Delivery) -> str:
        return delivery.local_id or delivery.id

    def elsewhere(self, delivery: Delivery) -> str:
        return delivery.local_id if self._settings.kind == "changes" else ""

    def cells(self, delivery: Delivery, before: Cells | None) -> Cells | None:
        if delivery.op is Op.DELETE and not delivery.deactivate:
            return None
        table = self._tables[delivery.table]
        if delivery.op is Op.DELETE:
            return self._switched_off(table, delivery, before)
        text, found = self._texts[table.name], {}
        for name, value in delivery.fields.items():
            if cell := text(name, value):
                self._fits(name, cell)
                found[name] = cell
        self._fits(table.id_field, found.setdefault(table.id_field, self.local_id(delivery)))
        if unknown := sorted(found.keys() - {*table.columns}):
            raise Unwritable(f"{table.name} has no column {', '.join(unknown)}")
        return found

    def _switched_off(self, table: Table, delivery: Delivery, before: Cells | None) -> Cells | None:
        if not table.deactivated:
            what = f"{table.name}: the settings do not say what switches a record off"
            raise Unwritable(f"{what}. Add deactivated:, or use on_delete: delete")
        if before is None and self.elsewhere(delivery):
            raise Unwritable(f"{table.name}: a record that was never written here cannot be switched off")
        return {**before, **table.deactivated} if before else None

    # Files

    def owns(self, name: str) -> bool:
        templates = [(table, file) for table in self._tables.values() for file in (table.file, table.deletes)]
        return any(file and file.pattern(table.name).fullmatch(name) for table, file in templates)

    def write(self, write: Write) -> tuple[int, list[str]]:
        if write.changes is None:
            files, seq = list(self._all(write.held)), write.seq
        else:
            files = list(self._changed(write.changes))
            seq = free(write.folder, write.seq, lambda seq: [file.name(write, seq) for file in files])
        for file in files:
            self._write(write.folder / file.name(write, seq), file)
        return seq, [file.name(write, seq) for file in files]

    def _all(self, held: Holdings) -> Iterator[_File]:
        there = held.counts()
        for name, table in self._tables.items():
            if name in there:
                yield _File(table, table.file, table.columns, held.scan(name))

    def _changed(self, changes: Sequence[Change]) -> Iterator[_File]:
        for name, table in self._tables.items():
            of_table = [change for change in changes if change.table == name]
            gone = [change for change in of_table if table.deletes and change.after is None]
            rest = [change for change in of_table if not (table.deletes and change.after is None)]
            if rest:
                rows = (self._row(table, change) for change in rest)
                yield _File(table, table.file, table.columns, rows)
            if gone and table.deletes:
                rows = (self._gone(table, change) for change in gone)
                yield _File(table, table.deletes, (table.id_field,), rows)

    def _row(self, table: Table, change: Change) -> Cells:
        words = self._operation or _NO_OPERATION
        if change.after is None:
            return {**self._gone(table, change), words.column: words.delete}
        new = change.before is None and not change.elsewhere
        return {**change.after, words.column: words.create if new else words.update}

    def _gone(self, table: Table, change: Change) -> Cells:
        return change.before or {table.id_field: change.elsewhere}

    def _write(self, path: Path, file: _File) -> None:
        rows = ([*map(cells.get, file.columns, _BLANKS)] for cells in file.rows)
        header = [self._line(file.columns)] if self._settings.header else []
        with part_at(path) as stream:
            for text in encoded(_joined(header, map(self._line, rows)), self._settings.encoding):
                stream.write(text)


def _joined(header: Iterable[str], lines: Iterator[str]) -> Iterator[str]:
    """Many lines at a time."""
    yield from header
    while chunk := list(islice(lines, _LINES_AT_ONCE)):
        yield "".join(chunk)
