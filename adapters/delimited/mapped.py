"""What a mapping and the settings of delimited files say differently. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from adapters.files.change import Unwritable
from bus.adapter import EntityShape, Misfit

from .files import Table, tables_of
from .form import Dialect
from .incoming import SourceSettings, TableIn
from .outgoing import DestinationSettings


def misfits(settings: DestinationSettings, shapes: Sequence[EntityShape]) -> Iterator[Misfit]:
    """Columns that a table does not have, tables that no entity has, and what no file can hold."""
    tables = tables_of(settings, shapes)
    yield from _of_no_entity(settings.tables, tuple(tables))
    for table in tables.values():
        yield from _of_settings(settings, table)
    for shape in shapes:
        yield from _of_shape(settings, shape, tables[shape.table])


def unread(settings: SourceSettings, shapes: Sequence[EntityShape]) -> Iterator[Misfit]:
    """Of a source: columns that settings without a header do not name, tables that no entity has."""
    for shape in shapes if not settings.header else ():
        columns = settings.tables.get(shape.table, TableIn()).columns
        for name in dict.fromkeys([shape.id_field, *(name for name, _ in shape.fields)]):
            if name not in columns:
                at = ("entities", shape.entity, "columns", name)
                yield Misfit(at, f"{shape.table}: no column {name}", name, tuple(columns))
    yield from _of_no_entity(settings.tables, tuple(dict.fromkeys(shape.table for shape in shapes)))


def _of_no_entity(written: Iterable[str], mapped: tuple[str, ...]) -> Iterator[Misfit]:
    for name in sorted({*written} - {*mapped}):
        text = f"tables: {name}: no entity has this table"
        yield Misfit(("settings", "tables", name), text, name, mapped)


def _of_settings(settings: DestinationSettings, table: Table) -> Iterator[Misfit]:
    at = ("settings", "tables", table.name)
    written = settings.tables.get(table.name)
    for key, columns in (("dates", written.dates), ("deactivated", written.deactivated)) if written else ():
        for column in sorted(columns.keys() - {*table.columns}):
            text = f"{table.name} has no column {column}"
            yield Misfit((*at, key, column), text, column, table.columns)
    if settings.kind == "changes" and not settings.operation and not table.deletes:
        text = f"{table.name}: nothing says what is gone. Add operation:, or deletes: to tables.{table.name}"
        yield Misfit(at, text)
    for column in set(table.columns) - table.mapped:
        if why := _unwritable(settings, column):
            yield Misfit((*at, "columns"), f"{table.name}: {why}")


def _of_shape(settings: DestinationSettings, shape: EntityShape, table: Table) -> Iterator[Misfit]:
    at, name, operation = ("entities", shape.entity), table.name, settings.operation
    if "/" in name or name.startswith("."):
        text = f'"{name}" cannot stand in the name of a file. Name the table otherwise'
        yield Misfit((*at, "table"), text)
    if shape.switches_off and not table.deactivated:
        text = f"{name}: nothing says what switches a record off. Add deactivated: to its table"
        yield Misfit((*at, "on_delete"), text)
    mapped = dict(shape.fields)
    for column in dict.fromkeys([shape.id_field, *mapped]):
        place = (*at, *(("fields", column) if column in mapped else ("id",)))
        if column not in table.columns:
            yield Misfit(place, f"{name} has no column {column}", column, table.columns)
        elif operation and operation.column == column:
            text = f"{name}: column {column} is mapped, and is the one that says the operation"
            yield Misfit(place, text)
        if why := _unwritable(settings, column):
            yield Misfit(place, f"{name}: {why}")


def _unwritable(settings: DestinationSettings, column: str) -> str:
    try:
        Dialect.of(settings).fits()(f"column {column}", column)
    except Unwritable as why:
        return str(why)
    return ""
