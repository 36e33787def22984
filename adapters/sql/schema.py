"""Which tables the mapping asks for, and what must be done to a database to have them. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from adapters.sql import dialect
from bus.adapter import EntityShape, Misfit
from bus.errors import ConfigError

Columns = Mapping[str, tuple[str, int]]
"""A table as it is: the type of each column, and its place in the primary key (0: none)."""


def wanted(shapes: Sequence[EntityShape]) -> dict[str, tuple[str, dict[str, str]]]:
    """Per table: the key's column, and the SQL type of each column. Entities may share a table."""
    tables: dict[str, tuple[str, dict[str, str]]] = {}
    for shape in shapes:
        _, columns = tables.setdefault(shape.table, (shape.id_field, {}))
        columns.update((name, dialect.TYPES[type_]) for name, type_ in _columns(shape))
    return {
        table: (id_field, {**columns, **dialect.OWN_COLUMNS}) for table, (id_field, columns) in tables.items()
    }


def misfits(shapes: Sequence[EntityShape]) -> Iterator[Misfit]:
    """Tables that are one to a database or that entities cannot share, and columns that cannot be."""
    tables: dict[str, tuple[str, dict[str, str]]] = {}
    seen: dict[str, str] = {}
    for shape in shapes:
        at = ("entities", shape.entity)
        table = shape.table
        if seen.setdefault(table.lower(), table) != table:
            text = f"tables {seen[table.lower()]} and {table} are one to a database"
            yield Misfit((*at, "table"), text)
        if not table or "\0" in table or table.lower().startswith(("sqlite_", "_yellowbus")):
            yield Misfit((*at, "table"), f"{table!r} cannot be the name of a table")
        id_field, columns = tables.setdefault(table, (shape.id_field, {}))
        if id_field != shape.id_field:
            text = f"table {table}: its id is {id_field} for one entity and {shape.id_field} for another"
            yield Misfit((*at, "id"), text)
        for name, type_ in _columns(shape):
            sql_type = dialect.TYPES[type_]
            if why := _wrong_column(name, sql_type, columns):
                place = ("fields", name) if name in dict(shape.fields) else ("id",)
                yield Misfit((*at, *place), f"table {table}: {why}")
            columns.setdefault(name, sql_type)


def _columns(shape: EntityShape) -> Iterable[tuple[str, str]]:
    return {shape.id_field: "text", **dict(shape.fields)}.items()


def _wrong_column(name: str, sql_type: str, columns: Mapping[str, str]) -> str:
    if name.lower() in dialect.OWN_COLUMNS:
        return f"yellowbus has a column {name} of its own. Name the field otherwise"
    twin = next((other for other in columns if other != name and other.lower() == name.lower()), None)
    if twin:
        return f"{name} and {twin} are one column to a database, which ignores case"
    if not name or "\0" in name:
        return f"{name!r} cannot be the name of a column"
    if columns.get(name, sql_type) != sql_type:
        return f"{name} is {columns[name]} for one entity, {sql_type} for another"
    return ""


def changes(table: str, id_field: str, columns: Mapping[str, str], there: Columns) -> Iterator[str]:
    """The statements that make or widen a table. Nothing is ever dropped or narrowed.

    Raises ConfigError if the table is there but is not one that yellowbus made, or a type has changed.
    """
    if not there:
        yield dialect.create_table(table, id_field, columns)
        return
    by_name = {name.lower(): (name, type_, key) for name, (type_, key) in there.items()}
    missing = [name for name in dialect.OWN_COLUMNS if name not in by_name]
    if missing:
        raise ConfigError(
            f"table {table}: has no column {missing[0]}, so yellowbus did not make it and leaves it alone. "
            "Map the entity to another table"
        )
    keys = [name for name, (_, key) in there.items() if key]
    if [key.lower() for key in keys] != [id_field.lower()]:
        raise ConfigError(
            f"table {table}: its key is {', '.join(keys) or 'missing'} (the mapping says {id_field}). "
            "Map the entity to another table, or drop this one and backfill"
        )
    for name, type_ in columns.items():
        if name.lower() not in by_name:
            yield dialect.add_column(table, name, type_)
        elif by_name[name.lower()][1].upper() != type_:
            raise ConfigError(
                f"table {table}: column {name} is {by_name[name.lower()][1] or 'untyped'} (the mapping needs "
                f"{type_}). Map the field to another column, or drop the table and backfill"
            )
