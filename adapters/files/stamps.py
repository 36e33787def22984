"""Which state of a file it is that was seen, and files that must not change while they are read."""

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, NamedTuple

from bus.errors import Refused

CHUNK_BYTES: Final = 1 << 16


class Stamp(NamedTuple):
    """Which state of a file it is: another size or time is another file."""

    name: str
    size_bytes: int
    modified_ns: int


def stamp(path: Path) -> Stamp:
    """Raises OSError."""
    found = path.stat()
    return Stamp(path.name, found.st_size, found.st_mtime_ns)


def observed_at_ms(stamps: Iterable[Stamp]) -> int:
    """When the state in it was true: the newest file's time."""
    return max(found.modified_ns for found in stamps) // 1_000_000


def size_bytes(stamps: Iterable[Stamp]) -> int:
    return sum(found.size_bytes for found in stamps)


class Loose:
    """Some files of one folder, as they are now. Raises OSError."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = {path.name: path for path in sorted(paths)}
        self.stamps = tuple(stamp(path) for path in self._paths.values())

    @property
    def names(self) -> list[str]:
        return list(self._paths)

    def sha256(self) -> str:
        """Of their names, sizes and bytes."""
        digest = hashlib.sha256()
        for name, size, _ in self.stamps:
            digest.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape"))
            with self._paths[name].open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    digest.update(chunk)
        return digest.hexdigest()

    def open(self, name: str) -> IO[bytes]:
        """One of them from its start. Raises Refused if it is not the file any more that was seen."""
        file = self._paths[name].open("rb")
        found = os.fstat(file.fileno())
        if (name, found.st_size, found.st_mtime_ns) not in self.stamps:
            file.close()
            raise Refused([f"{name}: it changed while it was read. It is left for later."], code="changed")
        return io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
