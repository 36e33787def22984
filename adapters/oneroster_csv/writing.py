"""Write a package: every file of it streamed, then put in place at once."""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Final, Protocol

from adapters.files.place import part_at, part_of, put, sync, sync_folder

ROWS_AT_ONCE: Final = 1_000
_LEVEL: Final = 3  # of deflate: a third of the time of 6 for a tenth more bytes
_EARLIEST_MS: Final = 315_532_800_000  # 1980: zip knows no earlier time

Cells = Sequence[str]


class Sink(Protocol):
    """Something that takes files one after the other."""

    def add(self, file: str, rows: Iterable[Cells]) -> int:
        """Write one CSV file, header first. Returns how many rows it took, the header not counted."""
        ...


class ZipSink:
    """A zip that is being written."""

    def __init__(self, archive: zipfile.ZipFile, at_ms: int, large: bool) -> None:
        self._archive, self._large = archive, large
        self._time = datetime.fromtimestamp(max(at_ms, _EARLIEST_MS) / 1000, UTC).timetuple()[:6]

    def add(self, file: str, rows: Iterable[Cells]) -> int:
        with self._file(file) as stream:
            return write_csv(stream, rows)

    def add_lines(self, file: str, header: Cells, lines: Iterable[str]) -> None:
        """Write one CSV file whose lines are there already."""
        with self._file(file) as stream:
            write_csv(stream, [header])
            for text in lines:
                stream.write(text.encode())

    def _file(self, file: str) -> IO[bytes]:
        info = zipfile.ZipInfo(file, self._time)
        info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        info._compresslevel = _LEVEL  # type: ignore[attr-defined]
        return self._archive.open(info, "w", force_zip64=self._large)


class _FolderSink:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, file: str, rows: Iterable[Cells]) -> int:
        with (self._folder / file).open("wb") as stream:
            rows_written = write_csv(stream, rows)
            sync(stream)
            return rows_written


def write_csv(stream: IO[bytes], rows: Iterable[Cells]) -> int:
    """RFC 4180 in UTF-8 without a BOM. Returns how many rows were written, the header not counted."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    count, remaining = -1, iter(rows)
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        count += len(chunk)
        writer.writerows(chunk)
        stream.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
    return count


@contextmanager
def zip_part(path: Path, at_ms: int, *, large: bool) -> Iterator[ZipSink]:
    """The part of a zip: whole and on disk when the block ends, not there at all if it raises.

    `large`: a file in it may pass 2 GB. Not all importers know the headers which that takes.
    """
    with part_at(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        yield ZipSink(archive, at_ms, large)


@contextmanager
def zip_at(path: Path, at_ms: int, *, large: bool) -> Iterator[ZipSink]:
    """A zip that is in place when the block ends."""
    with zip_part(path, at_ms, large=large) as sink:
        yield sink
    put(path)
    sync_folder(path.parent)


@contextmanager
def folder_at(path: Path) -> Iterator[Sink]:
    """Loose files in a folder that is in place when the block ends. The folder must not be there before."""
    part = part_of(path)
    part.mkdir()
    yield _FolderSink(part)
    part.rename(path)
    sync_folder(path.parent)
