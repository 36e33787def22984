"""The files that we have written, read back: what a system finds in them, as it was told."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bus.adapter import EntityShape, Listed
from bus.messages import Value

from .files import Table
from .form import Dialect, Form

FromCell = Callable[[str], Value]


def read_back(
    path: Path, form: Form, table: Table, shape: EntityShape, others: Mapping[str, str]
) -> Iterator[Listed]:
    """The rows of a table's file that are not switched off. `others`: by what stands in the id's column the
    id of ours, where that is not the same. Raises OSError, ValueError or csv.Error.
    """
    with path.open("rb") as stream:
        rows = Dialect.of(form).read(stream)
        names = next(rows, []) if form.header else list(table.columns)
        if table.id_field not in names:
            raise ValueError(f"there is no column {table.id_field} in it")
        values = {name: _value(form, type_, table.dates.get(name, "")) for name, type_ in shape.fields}
        for row in rows:
            cells = dict(zip(names, row, strict=True))
            if table.deactivated and cells.items() >= table.deactivated.items():
                continue
            id_ = cells[table.id_field]
            found = {name: read(cells[name]) for name, read in values.items() if cells.get(name)}
            yield Listed(others.get(id_, id_), found)


def _value(form: Form, type_: str, date_format: str) -> FromCell:
    """What was told of a field, from its cell; what is nothing of the kind stays as it stands there."""
    if date_format:
        return lambda cell: _date(cell, date_format)
    if type_ == "boolean":
        words = dict(zip(form.booleans, (True, False), strict=True))
        return lambda cell: words.get(cell, cell)
    if type_ == "list":
        return _list(form.list_separator)
    if type_ in ("integer", "number"):
        return lambda cell: _number(cell.replace(form.decimal, "."))
    return str


def _date(cell: str, written: str) -> str:
    try:
        return datetime.strptime(cell, written).replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return cell


def _number(cell: str) -> Value:
    try:
        return int(cell) if cell.isascii() and cell.removeprefix("-").isdigit() else float(cell)
    except ValueError:
        return cell


def _list(separator: str) -> FromCell:
    if separator:
        return lambda cell: tuple(cell.split(separator))
    return lambda cell: tuple(next(csv.reader(io.StringIO(cell, newline="")), ()))
