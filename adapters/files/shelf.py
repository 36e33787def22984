"""Where files go when they are finished: done/, or refused/ with a report beside them.

A set of several files cannot be moved at once. So the moves are written down first, and a start after a
crash ends them: half a set left behind would look like a new one.
"""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .place import write_whole
from .settle import DONE, REFUSED, Candidate, Look

REPORT: Final = ".report.txt"


class Shelf:
    """The two folders beside the watched files. `keep` is how many of each stay."""

    def __init__(self, folder: Path, state: Path, keep: int, now_ms: Callable[[], int], look: Look) -> None:
        self._folder, self._keep, self._now_ms, self._candidates = folder, keep, now_ms, look
        self._moves = state / "moving.json"

    def finish(self) -> None:
        """End the moves that a crash cut short."""
        if self._moves.exists():
            for source, target in json.loads(self._moves.read_text()):
                if Path(source).exists() and not Path(target).exists():
                    Path(target).parent.mkdir(parents=True, exist_ok=True)
                    Path(source).rename(target)
            self._moves.unlink()

    def accept(self, package: Candidate) -> None:
        """Into done/. Nothing happens if it is there already, or is not the file any more that was read."""
        self._put_away(package, self._target(DONE, package.name))

    def refuse(self, package: Candidate, report: str) -> None:
        """Into refused/, the report first. A package that changed since stays, to be read as a new one."""
        if not any(path.exists() for path in package.paths):
            return
        target = self._target(REFUSED, package.name)
        write_whole(target.with_name(target.name + REPORT), report.encode())
        self._put_away(package, target)

    def _put_away(self, package: Candidate, target: Path) -> None:
        for marker in package.markers:  # first: else the next file of this name would be taken at once
            marker.unlink(missing_ok=True)
        if not self._same(package):
            return
        if package.folder or package.single:
            (package.folder or package.paths[0]).rename(target)
        else:
            moves = [(str(path), str(target / path.name)) for path in package.paths]
            write_whole(self._moves, json.dumps(moves).encode())
            self.finish()
        self._prune(target.parent)

    def _same(self, package: Candidate) -> bool:
        """Is it what was read, no file of it newer and none added?"""
        found = [other for other in self._candidates(self._folder) if other.name == package.name]
        return [other.stamps for other in found] == [package.stamps]

    def _target(self, place: str, name: str) -> Path:
        folder = self._folder / place
        folder.mkdir(exist_ok=True)
        time = datetime.fromtimestamp(self._now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        stem, dot, suffix = name.rpartition(".")
        stem, end = (stem, dot + suffix) if stem else (name, "")
        names = [name, f"{stem}-{time}{end}", *(f"{stem}-{time}-{n}{end}" for n in range(2, 1_000))]
        return next(folder / free for free in names if not (folder / free).exists())

    def _prune(self, folder: Path) -> None:
        packages = [path for path in folder.iterdir() if not path.name.endswith(REPORT)]
        packages.sort(key=lambda path: path.stat().st_ctime_ns)
        for path in packages[: -self._keep]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            path.with_name(path.name + REPORT).unlink(missing_ok=True)
