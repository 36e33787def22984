"""What in the watched folder may be a package."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adapters.files.place import PART
from adapters.files.settle import DONE, REFUSED, Candidate, entries, stamped

from .tables import table_of

LOOSE: Final = "loose-csv"
"""What a set of loose files at the root of the folder is called."""


def candidates(folder: Path) -> Iterator[Candidate]:
    """Zips, loose CSV files as one set, and sub-folders with CSV files. Skips what vanishes."""
    there = entries(folder)
    loose = [path for path in there if _is_csv(path)]
    found: list[tuple[str, list[Path], Path | None]] = [(LOOSE, loose, None)] if loose else []
    for path in there:
        if path.suffix.lower() == ".zip" and path.is_file():
            found.append((path.name, [path], None))
        elif path.is_dir() and path.name not in (DONE, REFUSED) and not path.name.endswith(PART):
            inside = sorted(file for file in path.iterdir() if _is_csv(file))
            found.extend([(path.name, inside, path)] if inside else [])
    return stamped(folder, found)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and path.is_file() and bool(table_of(path.name))
