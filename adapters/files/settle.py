"""The watched folder: what lies there, and which of it nobody is writing any more."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from .stamps import Stamp, stamp

DONE: Final = "done"
REFUSED: Final = "refused"
MARKERS: Final = (".done", ".ready")


class Candidate(NamedTuple):
    """What is read at once: one file, or a set of them. `folder` is set for a sub-folder."""

    name: str
    paths: tuple[Path, ...]
    folder: Path | None
    stamps: tuple[Stamp, ...]
    markers: tuple[Path, ...]

    @property
    def single(self) -> bool:
        """Is it one file, under its own name?"""
        return self.folder is None and self.name == self.paths[0].name

    @property
    def modified_ns(self) -> int:
        return max(found.modified_ns for found in self.stamps)


Look = Callable[[Path], Iterator[Candidate]]
"""What is there to read in the watched folder."""


class News(NamedTuple):
    """One look: what is to be read, oldest first, and what waits (name, why; no why: no more)."""

    settled: list[Candidate]
    waiting: list[tuple[str, str]]


class Watch:
    """Remembers since when each candidate has been as it is."""

    def __init__(self, folder: Path, settle_ms: int, look: Look) -> None:
        self._folder, self._settle_ms, self._candidates = folder, settle_ms, look
        self._since: dict[str, tuple[tuple[Stamp, ...], int]] = {}
        self._told: set[str] = set()

    def look(self, now_ms: int) -> News:
        """One look at the folder. Raises OSError if it cannot be read."""
        before, self._since = self._since, {}
        news = News([], [])
        for found in self._candidates(self._folder):
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


def entries(folder: Path) -> list[Path]:
    """What lies in the folder and is not hidden."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def stamped(folder: Path, found: Iterable[tuple[str, list[Path], Path | None]]) -> Iterator[Candidate]:
    """A candidate of each name, paths and sub-folder. Skips what vanishes."""
    for name, paths, sub_folder in found:
        try:
            stamps = tuple(stamp(path) for path in paths)
        except FileNotFoundError:
            continue
        markers = tuple(mark for end in MARKERS if (mark := folder / (name + end)).exists())
        yield Candidate(name, tuple(paths), sub_folder, stamps, markers)
