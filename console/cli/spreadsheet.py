"""Lines as CSV, for a spreadsheet: comma, quotes where they are needed, one header."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence


def csv_text(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """The lines under their header; of a list its items with a blank between them.

    >>> csv_text(["key", "fields"], [{"key": "student/1", "fields": ["email", "phone"]}])
    'key,fields\\nstudent/1,email phone\\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow([_cell(line.get(column)) for column in columns])
    return text.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(str(each) for each in value)
    return "" if value is None else str(value)
