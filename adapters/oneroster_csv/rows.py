"""The rows of one file, in batches, each judged by what bulk and delta allow.

A batch is judged as a whole (which lengths, which statuses occur in it?), and row by row only to find the
place of what is wrong: that is half the time.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import IO, Final

from adapters.files import text
from adapters.files.chunks import Cells, check_width, chunks
from adapters.files.text import Faulty, Warn
from bus.adapter import Row

from .header import Layout

DELETED: Final = "tobedeleted"
_STATUSES: Final = frozenset({"", "active", DELETED})
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)")
Place = Callable[[], tuple[int, int]]
"""Line and column of a value, worked out only if it is asked for."""


def batches(file: str, stream: IO[bytes], layout: Layout, *, delta: bool, warn: Warn) -> Iterator[list[Row]]:
    """All rows after the header, in batches. Raises Refused with its place, UnicodeDecodeError."""
    judge = _Judge(file, layout, delta=delta, warn=warn)
    reader = text.reader(stream, lambda line: warn(f"{file}:{line}: the last line has no end"))
    empty = True
    try:
        next(reader)
        for chunk, lines in chunks(file, reader, warn):
            empty = False
            judge.check(chunk, lines)
            values = map(dict, map(zip, repeat(layout.names), _cells(layout, chunk)))
            yield list(map(Row._make, zip(lines, values, judge.deleted(chunk), strict=False)))
    except Faulty as faulty:
        raise faulty.refused(file) from None
    if empty and not delta:
        warn(f"{file}: a header and no rows")


def _cells(layout: Layout, chunk: Cells) -> Iterator[Sequence[str]]:
    picked = map(layout.pick, chunk)
    return (cells + layout.blank for cells in picked) if layout.blank else picked


def _place(lines: Sequence[int], values: Sequence[str], value: str, cell: int) -> tuple[int, int]:
    return lines[values.index(value)], cell + 1


class _Judge:
    """What may stand in a batch. Says each deviation once, with the first line that has it."""

    def __init__(self, file: str, layout: Layout, *, delta: bool, warn: Warn) -> None:
        self._file, self._layout, self._delta, self._warn = file, layout, delta, warn
        self._said: set[str] = set()
        self._status = itemgetter(layout.status) if layout.status >= 0 else None
        self._modified = itemgetter(layout.modified) if layout.modified >= 0 else None

    def check(self, chunk: Cells, lines: Sequence[int]) -> None:
        """Raises Faulty."""
        check_width(chunk, lines, self._layout.width, "comma")
        for copy in self._layout.copies:
            for line, row in zip(lines, chunk, strict=True):
                if row[copy.cell]:
                    what = f"{copy.name} stands in two columns and the second is filled. Export one."
                    raise Faulty(line, copy.cell + 1, what, "duplicate-column")
        if self._status:
            self._each(self._layout.status, chunk, lines, self._check_status)
        if self._modified:
            self._each(self._layout.modified, chunk, lines, self._check_modified)

    def deleted(self, chunk: Cells) -> Iterator[bool]:
        """For each row: does it say that its record is gone?"""
        if self._status is None or DELETED not in set(map(self._status, chunk)):
            return repeat(False)
        return map(DELETED.__eq__, map(self._status, chunk))

    def _each(
        self, cell: int, chunk: Cells, lines: Sequence[int], check: Callable[[str, Place], None]
    ) -> None:
        """Check the values that occur in a column, each at the first row that has it."""
        values = list(map(itemgetter(cell), chunk))
        for value in dict.fromkeys(values):
            check(value, partial(_place, lines, values, value, cell))

    def _check_status(self, status: str, place: Place) -> None:
        if status not in _STATUSES:
            what = "a status that is none (expected active or tobedeleted; inactive ended with OneRoster 1.0)"
            raise Faulty(*place(), what, "status")
        if self._delta and not status:
            raise Faulty(*place(), "no status in a delta file (expected active or tobedeleted)", "status")
        if status and not self._delta:
            self._once("status is filled in a bulk file (expected blank)", place)

    def _check_modified(self, date: str, place: Place) -> None:
        if self._delta and not date:
            self._once("no dateLastModified in a delta file", place)
        if date and not self._delta:
            self._once("dateLastModified is filled in a bulk file (expected blank)", place)
        if date and not _TIMESTAMP.fullmatch(date):
            self._once("dateLastModified is not an ISO 8601 time with a zone", place)

    def _once(self, what: str, place: Place) -> None:
        if what not in self._said:
            self._said.add(what)
            line, column = place()
            self._warn(f"{self._file}:{line}:{column}: {what}")
