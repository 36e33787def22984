"""What the first line of a file says, or the settings: which cell is which column."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from adapters.files.chunks import picker
from adapters.files.text import hidden, shown
from bus.errors import Refused

_SPACES: Final = re.compile(r"[\s_.-]+")


class Layout(NamedTuple):
    """How the cells of a row become values: `pick` takes those of `names`. `operation`: its cell, or -1."""

    width: int
    names: tuple[str, ...]
    pick: Callable[[Sequence[str]], tuple[str, ...]]
    operation: int


def layout_of(
    file: str,
    header: Sequence[str],
    *,
    wanted: Collection[str],
    aliases: Mapping[str, str],
    operation: str,
) -> tuple[Layout, list[str]]:
    """Find the columns that are mapped (`wanted`) and the one of the operation, if any. Raises Refused.

    A header that differs only in case, spaces, hyphens, dots and underscores is taken for the column, with a
    warning, unless another one is exact. Two that are alike are refused: nobody knows which one counts.
    """
    needed = dict.fromkeys([*wanted, *([operation] if operation else [])])
    found, problems, warnings = _found(header, needed, aliases)
    if problems := problems or list(_missing(header, needed, found)):
        raise Refused([f"{file}:1:{column}: {problem}" for column, problem in problems], code="header")
    names = tuple(name for name in found if name in wanted)
    pick = picker(tuple(found[name] for name in names))
    layout = Layout(len(header), names, pick, found.get(operation, -1))
    return layout, [f"{file}:1: {warning}" for warning in warnings]


def _missing(
    header: Sequence[str], needed: Collection[str], found: Collection[str]
) -> Iterator[tuple[int, str]]:
    missing = [name for name in needed if name not in found]
    if len(header) == 1 < len(missing):
        yield 1, f"one column (expected {len(needed)} that are mapped). Is the delimiter right?"
        return
    for name in missing:
        yield 1, f"no column {name}, which is mapped. Is line 1 the header?"


def _found(
    header: Sequence[str], needed: Collection[str], aliases: Mapping[str, str]
) -> tuple[dict[str, int], list[tuple[int, str]], list[str]]:
    """The cell of each column, what is wrong (column, text), and what was spelt differently."""
    found: dict[str, int] = {}
    problems, warnings = [], []
    alike = _alike([*needed, *(alias for alias in aliases if aliases[alias] in needed)])
    exact = [aliases.get(name, name) for name in header]
    for cell, written in enumerate(header):
        if points := hidden(written):
            problems.append((cell + 1, f"characters that nobody sees: {points}. Remove them."))
            continue
        name = exact[cell]
        if name not in needed:
            near = alike.get(_squeezed(written), "")
            name = aliases.get(near, near)
            if not name or name in exact:
                continue
            warnings.append(f"column {cell + 1} {shown(written)} is read as {name}")
        if name in found:
            what = f"column {name} stands there again (first as column {found[name] + 1}). Export one."
            problems.append((cell + 1, what))
        else:
            found[name] = cell
    return found, problems, warnings


def _alike(names: Iterable[str]) -> dict[str, str]:
    """The one name that each spelling may mean."""
    spelt: dict[str, str] = {}
    twice = set()
    for name in names:
        if spelt.setdefault(_squeezed(name), name) != name:
            twice.add(_squeezed(name))
    return {spelling: name for spelling, name in spelt.items() if spelling not in twice}


def _squeezed(name: str) -> str:
    """Without what people write in one way or another.

    >>> _squeezed("Student ID"), _squeezed("student_id")
    ('studentid', 'studentid')
    """
    return _SPACES.sub("", name).casefold()
