"""Checked lines as rows, many at a time, each with the line on which it begins."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, islice
from operator import itemgetter
from typing import Final

from bus.errors import Refused

from .text import Faulty, Reader, Warn

BATCH_ROWS: Final = 500
_LINE_END: Final = re.compile(r"\r\n|\r|\n")

Cells = list[list[str]]


def chunks(file: str, reader: Reader, warn: Warn) -> Iterator[tuple[Cells, Sequence[int]]]:
    """Rows with the line on which each begins. Raises Refused."""
    while True:
        before, chunk, error = reader.line_num, Cells(), None
        try:
            chunk.extend(islice(reader, BATCH_ROWS))
        except csv.Error as raised:  # the rows before it are in the chunk
            error = raised
        lines: Sequence[int] = range(before + 1, before + 1 + len(chunk))
        if error or reader.line_num != before + len(chunk):
            *lines, after = accumulate(map(_height, chunk), initial=before + 1)
            if error:
                what = f"the row that starts here is not CSV: {error}"
                raise Refused([f"{file}:{after}:1: {what}"], code="quoting")
        if [] in chunk:
            warn(f"{file}: blank lines are skipped")
            lines = [line for line, cells in zip(lines, chunk, strict=True) if cells]
            chunk = [cells for cells in chunk if cells]
        elif not chunk:
            return
        if chunk:
            yield chunk, lines


def _height(cells: Sequence[str]) -> int:
    """How many lines a row takes: the line ends within its quotes, and its own."""
    return 1 + sum(len(_LINE_END.findall(cell)) for cell in cells if "\n" in cell or "\r" in cell)


def picker(cells: tuple[int, ...]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """The function that takes these cells of a row."""
    if len(cells) == 1:
        return lambda row: (row[cells[0]],)
    return itemgetter(*cells)


def check_width(chunk: Cells, lines: Sequence[int], width: int, delimiter: str) -> None:
    """Does each row have as many cells as the header? Raises Faulty at the first that has not."""
    if set(map(len, chunk)) == {width}:
        return
    line, cells = next((n, len(row)) for n, row in zip(lines, chunk, strict=True) if len(row) != width)
    what = f"{cells} cells (expected {width}). Was the file cut, or is a {delimiter} not quoted?"
    raise Faulty(line, min(cells, width) + 1, what, "row-shape")
