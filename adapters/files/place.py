"""Files that are in place whole, and on disk, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from bus.errors import ConfigError, Unavailable

PART: Final = ".part"
"""What the name of a file ends with as long as it is not whole."""


def part_of(path: Path) -> Path:
    """Where a file is written before it is put in place: in the same folder, so that a rename does it."""
    return path.with_name(path.name + PART)


@contextmanager
def part_at(path: Path) -> Iterator[IO[bytes]]:
    """The part of this file: whole and on disk when the block ends, not there at all if it raises."""
    part = part_of(path)
    try:
        with part.open("wb") as file:
            yield file
            sync(file)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def put(path: Path) -> None:
    """The part takes its place. Twice is fine: one that is not there any more has done so."""
    with suppress(FileNotFoundError):
        part_of(path).replace(path)


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file at once: it is there whole, or as it was."""
    with part_at(path) as file:
        file.write(content)
    put(path)


def sync(stream: IO[bytes]) -> None:
    """What was written is on disk."""
    stream.flush()
    os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """A rename is only safe once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_folder(system: str, folder: Path, *, reads: bool) -> None:
    """Is it a folder in which we may do our work? Raises ConfigError, Unavailable."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{system}: {folder} is a file (expected a folder)")
    rights = os.W_OK | os.X_OK | (os.R_OK if reads else 0)
    if not folder.is_dir() or not os.access(folder, rights):
        what = "read and write it. Create or mount it" if reads else "write in it"
        raise unavailable(system, folder, f"is not there, or we may not {what}")


def unavailable(system: str, folder: Path, what: str) -> Unavailable:
    return Unavailable(f"{system}: {folder} {what}.", runbook="folder-unavailable")
