"""The watched folder: what lies there, and which of it nobody is writing any more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from .package import Stamp, stamp
from .tables import table_of

DONE: Final = "done"
REFUSED: Final = "refused"
LOOSE: Final = "loose-csv"
"""What a set of loose files at the root of the folder is called."""
MARKERS: Final = (".done", ".ready")


class Candidate(NamedTuple):
    """Something that may be a package. `paths` are its files; `folder` is set for a sub-folder."""

    name: str
    paths: tuple[Path, ...]
    folder: Path | None
    stamps: tuple[Stamp, ...]
    markers: tuple[Path, ...]

    @property
    def zipped(self) -> bool:
        return self.folder is None and self.name != LOOSE

    @property
    def modified_ns(self) -> int:
        return max(found.modified_ns for found in self.stamps)


class News(NamedTuple):
    """What one look found: packages to read, oldest first, and what waits (name, why; no why: no more)."""

    settled: list[Candidate]
    waiting: list[tuple[str, str]]


class Watch:
    """Remembers since when each package has been as it is."""

    def __init__(self, folder: Path, settle_ms: int) -> None:
        self._folder, self._settle_ms = folder, settle_ms
        self._since: dict[str, tuple[tuple[Stamp, ...], int]] = {}
        self._told: set[str] = set()

    def look(self, now_ms: int) -> News:
        """One look at the folder. Raises OSError if it cannot be read."""
        before, self._since = self._since, {}
        news = News([], [])
        for found in candidates(self._folder):
            stamps, since_ms = before.get(found.name, ((), now_ms))
            changed = stamps != found.stamps
            self._since[found.name] = (found.stamps, now_ms if changed else since_ms)
            waited_ms = now_ms - self._since[found.name][1]
            if found.markers or waited_ms >= self._settle_ms:
                news.settled.append(found)
            elif changed:
                news.waiting.append((found.name, self._why(bool(stamps))))
        self._told.update(name for name, _ in news.waiting)
        gone = sorted(self._told - self._since.keys())
        news.waiting.extend((name, "") for name in gone)
        self._told.difference_update(gone)
        news.settled.sort(key=lambda candidate: (candidate.modified_ns, candidate.name))
        return news

    def taken(self, name: str) -> bool:
        """It waits no more. Was it said that it does?"""
        was_told = name in self._told
        self._told.discard(name)
        return was_told

    def _why(self, grew: bool) -> str:
        state = "is still being written" if grew else "has just come"
        return f"{state}: it is read once it has not changed for {self._settle_ms // 1000} s"


def candidates(folder: Path) -> Iterator[Candidate]:
    """Zips, loose CSV files as one set, and sub-folders with CSV files. Skips what vanishes."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    loose = [path for path in entries if _is_csv(path)]
    found: list[tuple[str, list[Path], Path | None]] = [(LOOSE, loose, None)] if loose else []
    for path in entries:
        if path.suffix.lower() == ".zip" and path.is_file():
            found.append((path.name, [path], None))
        elif path.is_dir() and path.name not in (DONE, REFUSED) and not path.name.endswith(".part"):
            inside = sorted(file for file in path.iterdir() if _is_csv(file))
            found.extend([(path.name, inside, path)] if inside else [])
    for name, paths, sub_folder in found:
        try:
            stamps = tuple(stamp(path) for path in paths)
        except FileNotFoundError:
            continue
        markers = tuple(mark for end in MARKERS if (mark := folder / (name + end)).exists())
        yield Candidate(name, tuple(paths), sub_folder, stamps, markers)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and path.is_file() and bool(table_of(path.name))
