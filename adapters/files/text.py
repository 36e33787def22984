"""Delimited text as a stream of lines, checked for what csv.reader would swallow or choke on."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final, Protocol

from bus.errors import Refused

from .stamps import CHUNK_BYTES

LINE_MAX: Final = 1_000_000
"""Characters in one line: a file without line ends must not fill the memory."""

HIDDEN: Final = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
"""Characters that nobody sees in a header, and that make it another one."""

_LINES: Final = re.compile(r"\r\n|[^\r\n]*[\r\n]|[^\r\n]+")

Warn = Callable[[str], None]
"""Say a harmless deviation."""

Unended = Callable[[int], None]
"""Called with the number of the last line if it has no end."""


def ignore(line: int) -> None:
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


def lines(stream: IO[bytes], unended: Unended = ignore, encoding: str = "utf-8") -> Iterator[str]:
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


def reader(stream: IO[bytes], unended: Unended = ignore) -> Reader:
    """A strict reader: an unclosed or misplaced quote is an error, never a guess."""
    return csv.reader(lines(stream, unended), strict=True)


def blemishes(stream: IO[bytes]) -> list[str]:
    """How the beginning of a file is written where CSV is written otherwise, though it can be read.

    >>> blemishes(io.BytesIO(b"\\xef\\xbb\\xbfsourcedId,name\\ro1,Elm\\r"))
    ['a byte order mark before the header (expected none)', 'lines end in CR alone (expected CR LF)']
    """
    start, found = stream.read(CHUNK_BYTES), []
    if start.startswith(codecs.BOM_UTF8):
        found.append("a byte order mark before the header (expected none)")
    if b"\r" in start and b"\n" not in start:
        found.append("lines end in CR alone (expected CR LF)")
    return found


def undecodable(stream: IO[bytes], encoding: str = "utf-8") -> Faulty:
    """Read from the start to find where the bytes stop being of the encoding. Only called when they do."""
    decoder = codecs.getincrementaldecoder("utf-8" if encoding == "utf-8-sig" else encoding)()
    line, column, after_cr = 1, 1, False
    while True:
        chunk, state = stream.read(CHUNK_BYTES), decoder.getstate()
        try:
            text, broken = decoder.decode(chunk, final=not chunk), False
        except UnicodeDecodeError as error:
            decoder.setstate(state)
            sound_bytes = max(0, error.start - len(state[0]))
            text, broken = decoder.decode(chunk[:sound_bytes]), True
        for part in _LINES.findall(text):
            ended = part[-1] in "\r\n"
            if after_cr and part == "\n":
                after_cr = False
                continue
            line, column = (line + 1, 1) if ended else (line, column + len(part))
            after_cr = part.endswith("\r")
        if broken or not chunk:
            shown = "UTF-8" if encoding.startswith("utf-8") else encoding
            what = f"not {shown} (character {column} of the line). Export it as {shown}."
            return Faulty(line, column, what, "encoding")


@contextmanager
def located(
    file: str,
    reopen: Callable[[], IO[bytes]],
    *,
    encoding: str = "utf-8",
    damaged: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[None]:
    """What goes wrong in the bytes of a file becomes Refused, with the place."""
    try:
        yield
    except Faulty as faulty:
        raise faulty.refused(file) from None
    except csv.Error as error:
        raise Refused([f"{file}:1:1: the first line is not CSV: {error}"], code="quoting") from None
    except UnicodeDecodeError:
        with reopen() as stream:
            raise undecodable(stream, encoding).refused(file) from None
    except damaged:
        raise Refused([f"{file}: it is damaged, or changed while it was read"], code="damaged") from None


def hidden(name: str) -> str:
    """The characters of a header that nobody sees, by number; '' if it has none.

    >>> hidden("sourced\u200bId"), hidden("sourcedId")
    ('U+200B', '')
    """
    return ", ".join(f"U+{ord(character):04X}" for character in sorted(HIDDEN.intersection(name)))


def shown(name: str) -> str:
    """The beginning of a header, so that it can be printed."""
    return ascii(name[:40])
