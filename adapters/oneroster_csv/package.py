"""One package: a zip, or a set of loose CSV files. Whole, or refused."""

import errno
import hashlib
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple, Protocol

from adapters.files.stamps import CHUNK_BYTES, Loose, Stamp, size_bytes, stamp
from adapters.files.text import Warn
from bus.errors import Refused, Unavailable

from .tables import table_of

MEMBERS_MAX: Final = 1_000
_ESCAPE: Final = re.compile(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:|\\")

BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression that nobody uses
    RuntimeError,  # encrypted
    struct.error,
    ValueError,
    OverflowError,
    IndexError,
    KeyError,
    OSError,  # EINVAL: a seek to before the start; any other is the disk's
)
"""All that zipfile raises on a damaged archive (each seen when bytes of one are changed at random)."""


class Limits(NamedTuple):
    """How far an archive may expand."""

    bytes_max: int
    times_max: int


class Package(Protocol):
    """What a reading needs of either form."""

    stamps: tuple[Stamp, ...]

    def sha256(self) -> str:
        """Of all its bytes."""
        ...

    def verify(self, warn: Warn) -> dict[str, str]:
        """Read every byte once. The member of each table (and `manifest`) that is there. Raises Refused."""
        ...

    def open(self, member: str) -> IO[bytes]:
        """One member from its start. Raises what BROKEN lists."""
        ...

    def close(self) -> None: ...


class ZipPackage:
    """An archive. It is opened once: a file that is renamed over it while it is read changes nothing."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.name = path.name
        self.stamps: tuple[Stamp, ...] = (stamp(path),)
        self._limits = limits
        self._file = path.open("rb")
        self._zip: zipfile.ZipFile | None = None

    def sha256(self) -> str:
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def verify(self, warn: Warn) -> dict[str, str]:
        with damaged(self.name):
            self._zip = zipfile.ZipFile(self._file)
            members = [info for info in self._zip.infolist() if not info.is_dir()]
            self._expands(members)
            names = [info.filename for info in members]
            if escaping := [i for i, name in enumerate(names, 1) if _ESCAPE.search(name)]:
                raise Refused(
                    [f"{self.name}: member {i} lies outside the archive" for i in escaping], code="path"
                )
            for name in names:
                self._drain(name)
        return placed(self.name, names, warn)

    def open(self, member: str) -> IO[bytes]:
        assert self._zip is not None, "verify comes first"
        return self._zip.open(member)

    def close(self) -> None:
        if self._zip:
            self._zip.close()
        self._file.close()

    def _expands(self, members: list[zipfile.ZipInfo]) -> None:
        expanded, packed = sum(m.file_size for m in members), max(1, self.stamps[0].size_bytes)
        if len(members) > MEMBERS_MAX:
            raise Refused([f"{self.name}: {len(members)} files (limit {MEMBERS_MAX})"], code="expansion")
        if expanded > self._limits.bytes_max or expanded > packed * self._limits.times_max:
            found = f"expands to {expanded} bytes, {expanded // packed} times its size"
            limits = f"limits {self._limits.bytes_max} bytes, {self._limits.times_max} times"
            raise Refused([f"{self.name}: {found} ({limits})"], code="expansion")

    def _drain(self, member: str) -> None:
        # Reading to the end compares the CRC; zipfile gives no more than the size in the directory.
        with self.open(member) as stream:
            while stream.read(CHUNK_BYTES):
                pass


class LoosePackage:
    """CSV files in a folder. They must not change between the first look and the last row."""

    def __init__(self, name: str, paths: Iterable[Path], limits: Limits) -> None:
        self.name = name
        self._files = Loose(paths)
        self._limits = limits
        self.stamps = self._files.stamps

    def sha256(self) -> str:
        return self._files.sha256()

    def verify(self, warn: Warn) -> dict[str, str]:
        size = size_bytes(self.stamps)
        if size > self._limits.bytes_max:
            raise Refused([f"{self.name}: {size} bytes (limit {self._limits.bytes_max})"], code="expansion")
        return placed(self.name, self._files.names, warn)

    def open(self, member: str) -> IO[bytes]:
        return self._files.open(member)

    def close(self) -> None:
        """Nothing stays open."""


@contextmanager
def damaged(name: str) -> Iterator[None]:
    """Whatever a broken archive raises becomes Refused; a disk or share that is gone, Unavailable."""
    try:
        yield
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            what = f"{name}: it cannot be read now: {error.strerror}"
            raise Unavailable(what, runbook="folder-unavailable") from None
        what = f"the archive is damaged or cut ({type(error).__name__})"
        raise Refused([f"{name}: {what}. Export or copy it again."], code="damaged") from None


def placed(package: str, names: list[str], warn: Warn) -> dict[str, str]:
    """Which member is which table. Raises Refused if two claim one, or if there is none."""
    placed: dict[str, str] = {}
    for name in names:
        table = table_of(name)
        if not table:
            if not name.startswith("__MACOSX/"):
                warn(f"{package}: a file that is not of OneRoster is not read")
        elif table in placed:
            raise Refused([f"{table}.csv: it is there twice, or in two spellings"], code="two-files")
        else:
            placed[table] = name
            if name != f"{table}.csv":
                warn(f"{table}.csv: its name is written in another case")
    if not placed.keys() - {"manifest"}:
        inside = any(table_of(name.rpartition("/")[2]) for name in names)
        hint = "They stand in a folder inside it" if inside else "None is there"
        raise Refused([f"{package}: no OneRoster files at the root. {hint}."], code="no-files")
    return placed
