"""What the first line of a file says: which cell is which column."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from adapters.files.chunks import picker
from adapters.files.text import HIDDEN, hidden, shown
from bus.errors import Refused

from .tables import COLUMNS, METADATA, NEVER_READ, Table, meant


class Copy(NamedTuple):
    """A column that stands there again. It must be blank in all rows: else nobody knows which one counts."""

    name: str
    cell: int


class Layout(NamedTuple):
    """How the cells of a row become values. `pick` takes the cells of `names`, less the `blank` ones at its
    end, which the file does not have. An index is -1 where there is no such column.
    """

    width: int
    names: tuple[str, ...]
    pick: Callable[[Sequence[str]], tuple[str, ...]]
    blank: tuple[str, ...]
    status: int
    modified: int
    copies: tuple[Copy, ...]


def layout_of(
    table: Table, header: Sequence[str], *, delta: bool, mapped: Collection[str] = ()
) -> tuple[Layout, list[str]]:
    """Decide what each cell is. `mapped`: columns that are read even if the file has none. Raises Refused.

    Returns the warnings too. Unknown headers are named only once all required columns are there: else the
    first line may be a row of people.
    """
    where = f"{table.file}:1"
    found, copies, unknown, warnings = _columns(table, header)
    problems = [*_hidden(table, header), *_missing(table, found, delta)]
    if problems:
        raise Refused([f"{where}:{column}: {problem}" for column, problem in problems], code="header")
    warnings += [f"column {cell + 1} {shown(header[cell])} is unknown: it is not read" for cell in unknown]
    warnings += [f"column {copy.name} stands there again as column {copy.cell + 1}" for copy in copies]
    gone = [name for name in dict.fromkeys(mapped) if name not in found and name not in NEVER_READ]
    warnings += [f"no column {name}, which is mapped: it is read as blank" for name in gone]
    taken = {name: cell for name, cell in found.items() if name not in NEVER_READ}
    missing = [name for name in (*table.columns, *gone) if name not in found and name not in NEVER_READ]
    blank = tuple(dict.fromkeys(missing))
    layout = Layout(
        width=len(header),
        names=(*taken, *blank),
        pick=picker(tuple(taken.values())),
        blank=("",) * len(blank),
        status=found.get("status", -1),
        modified=found.get("dateLastModified", -1),
        copies=tuple(copies),
    )
    return layout, [f"{where}: {warning}" for warning in warnings]


def _columns(table: Table, header: Sequence[str]) -> tuple[dict[str, int], list[Copy], list[int], list[str]]:
    """Each column's cell, second copies, unknown cells, and what was misspelt."""
    found: dict[str, int] = {}
    copies, unknown, warnings = [], [], []
    exact, known = set(header), {*COLUMNS[table.name], *table.columns}
    for cell, name in enumerate(header):
        column = name if name in known or name.startswith(METADATA) else ""
        if not column and (column := meant(table, name)):
            if column in exact:
                unknown.append(cell)
                continue
            warnings.append(f"column {cell + 1} {shown(name)} is read as {column}")
        if not column:
            unknown.append(cell)
        elif column in found:
            copies.append(Copy(column, cell))
        else:
            found[column] = cell
    return found, copies, unknown, warnings


def _hidden(table: Table, header: Sequence[str]) -> list[tuple[int, str]]:
    problems = []
    for cell, name in enumerate(header, 1):
        if points := hidden(name):
            seen = "".join(c for c in name if c not in HIDDEN)
            known = f" {seen}" if seen in table.columns else ""
            problems.append((cell, f"header{known} has characters that nobody sees: {points}. Remove them."))
    return problems


def _missing(table: Table, found: Collection[str], delta: bool) -> list[tuple[int, str]]:
    required = table.required | {"status"} if delta else table.required
    missing = [column for column in table.columns if column in required and column not in found]
    return [(1, f"no column {name} (required). Is line 1 the header?") for name in missing]
