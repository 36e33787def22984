"""Which files in the watched folder belong together, and which of them is which table."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from adapters.files.names import Template
from adapters.files.settle import Candidate, entries, stamped
from bus.errors import Refused

from .incoming import SourceSettings, TableIn

SET: Final = "set"
"""What several files are called that are read together; behind it what stands in all their names."""


class Kind(NamedTuple):
    """A file that a system exports: of a table, or of what is gone from it."""

    table: str
    deletes: bool


class Sets:
    """Recognises files by their names, whatever the case."""

    def __init__(self, settings: SourceSettings, tables: Iterable[str]) -> None:
        self._patterns: dict[Kind, re.Pattern[str]] = {}
        for table in tables:
            form = settings.tables.get(table, TableIn())
            for written, deletes in ((form.file or settings.file, False), (form.deletes, True)):
                if written:
                    pattern = Template(written).pattern(re.escape(table), wild=True)
                    self._patterns[Kind(table, deletes)] = re.compile(pattern.pattern, re.I | re.S)

    def candidates(self, folder: Path) -> Iterator[Candidate]:
        """The sets that are there. A file that is the only one of its kind is a set under its own name."""
        found: dict[tuple[str, ...], list[Path]] = {}
        for path in entries(folder):
            key = next((match.groups() for _, match in self._matches(path.name)), None)
            if key is not None and path.is_file():
                found.setdefault(key, []).append(path)
        alone = len(self._patterns) == 1
        for key, paths in found.items():
            if alone:
                yield from stamped(folder, [(path.name, [path], None) for path in paths])
            else:
                yield from stamped(folder, [("-".join((SET, *key)), paths, None)])

    def placed(self, names: Iterable[str]) -> dict[Kind, str]:
        """The file of each kind. Raises Refused if two are of one kind, or one of two."""
        placed: dict[Kind, str] = {}
        for name in names:
            kinds = [kind for kind, _ in self._matches(name)]
            if len(kinds) > 1:
                tables = " and of ".join(kind.table for kind in kinds)
                raise Refused([f"{name}: by its name it is the file of {tables}"], code="two-tables")
            if kinds[0] in placed:
                what = f"{name}: {placed[kinds[0]]} is the same file, in another spelling"
                raise Refused([what], code="two-files")
            placed[kinds[0]] = name
        return placed

    def _matches(self, name: str) -> Iterator[tuple[Kind, re.Match[str]]]:
        for kind, pattern in self._patterns.items():
            if match := pattern.fullmatch(name):
                yield kind, match
