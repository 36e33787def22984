"""Delimited text as a stream of lines, checked for what csv.reader would swallow or choke on."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Final, Protocol

from bus.errors import Refused

from .stamps import CHUNK_BYTES

LINE_MAX: Final = 1_000_000
"""Characters in one line: a file without line ends must not fill the memory."""

Warn = Callable[[str], None]
"""Say a harmless deviation."""

Unended = Callable[[int], None]
"""Called with the number of the last line if it has no end."""


def _ignore(line: int) -> None:
    """Nobody wants to know."""


class Reader(Protocol):
    """What csv.reader returns."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> "Reader": ...

    def __next__(self) -> list[str]: ...


class Faulty(Exception):
    """Where the text is not CSV. `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, what: str, code: str) -> None:
        super().__init__(what)
        self.line, self.column, self.what, self.code = line, column, what, code

    def refused(self, file: str) -> Refused:
        return Refused([f"{file}:{self.line}:{self.column}: {self.what}"], code=self.code)


def lines(stream: IO[bytes], unended: Unended = _ignore, encoding: str = "utf-8") -> Iterator[str]:
    """The lines with their ends (CR, LF, CRLF), less the mark of UTF. Raises UnicodeDecodeError, Faulty."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="")
    number, line = 0, "\n"
    try:
        while following := text.readline(LINE_MAX):
            number, line = number + 1, following
            if "\0" in line:
                raise Faulty(number, line.index("\0") + 1, "a NUL character. Export it again.", "nul")
            if len(line) == LINE_MAX:
                what = f"a line longer than {LINE_MAX} characters (expected CSV)"
                raise Faulty(number, 1, what, "long-line")
            yield line
    finally:
        with suppress(ValueError):  # the stream is its opener's to close, and may be closed already
            text.detach()
    if not line.endswith(("\r", "\n")):
        unended(number)


def reader(stream: IO[bytes], unended: Unended = _ignore) -> Reader:
    """A strict reader: an unclosed or misplaced quote is an error, never a guess."""
    return csv.reader(lines(stream, unended), strict=True)


def undecodable(stream: IO[bytes]) -> Faulty:
    """Read from the start to find where the bytes stop being UTF-8. Only called when they do."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, column, after_cr = 1, 1, False
    while True:
        chunk = stream.read(CHUNK_BYTES)
        try:
            text, broken = decoder.decode(chunk, final=not chunk), False
        except UnicodeDecodeError as error:
            text, broken = bytes(error.object[: error.start]).decode(), True
        for part in text.splitlines(keepends=True):
            ended = part[-1] in "\r\n"
            if after_cr and part == "\n":
                after_cr = False
                continue
            line, column = (line + 1, 1) if ended else (line, column + len(part))
            after_cr = part.endswith("\r")
        if broken or not chunk:
            what = f"not UTF-8 (character {column} of the line). Export it as UTF-8."
            return Faulty(line, column, what, "encoding")
