"""The form of a delimited file as a person writes it down, and cells as one line of it."""

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import IO, Annotated, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.files import text
from adapters.files.change import Unwritable, encodable
from adapters.files.names import Template, twins
from bus.adapter import Settings

_WORDS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_MARK: Final = "\ufeff"
LINE_ENDS: Final = {"crlf": "\r\n", "lf": "\n", "cr": "\r"}


def _delimiter(written: str) -> str:
    found = _WORDS.get(written, written)
    if len(found) != 1 or found.isalnum() or found in "\r\n\0\"'\\" or ord(found) > 0x7E:
        raise ValueError("expected one character, as in , ; | or tab")
    return found


def template(written: str) -> str:
    """A file's name with {table}, {date}, {time}, {seq} in it. Raises ValueError."""
    Template(written)
    return written


Delimiter = Annotated[str, AfterValidator(_delimiter)]
FileName = Annotated[str, AfterValidator(template)]
Encoding = Literal["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"]


class Operation(Settings):
    """The column that says what became of a row's record, and its words for it."""

    column: str = Field(default="operation", min_length=1)
    create: str = "create"
    update: str = "update"
    delete: str = Field(default="delete", min_length=1)

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        if self.delete in (self.create, self.update):
            raise ValueError(f'delete: "{self.delete}" is the word for another operation too')
        return self


class TableForm(Settings):
    """One table's file. `file` is its name, if it is not made as those of the others.

    `columns`: the names of the columns, in order. `deletes`: the name of the file with the ids of what is
    gone, where there is one of its own.
    """

    file: FileName | None = None
    deletes: FileName | None = None
    columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if again := sorted({name for name in self.columns if self.columns.count(name) > 1}):
            raise ValueError(f"columns: {again[0]} stands there twice")
        return self


class Form(Settings):
    """What both directions say. `file`: the name of a table's file. `header`: is the first line the columns?

    `quote` '' means that nothing is quoted. `escape`: how a quote within quotes is written, "" or \\".
    `kind`: `full`, or `changes` only. `booleans`: the words for true and false. `list_separator` '': a list
    is written a,b and an item with a comma in it "a,b".
    """

    file: FileName = "{table}.csv"
    header: bool = True
    delimiter: Delimiter = ","
    quote: Literal['"', "'", ""] = '"'
    escape: Literal["double", "backslash"] = "double"
    encoding: Encoding = "utf-8"
    kind: Literal["full", "changes"] = "full"
    operation: Operation | None = None
    booleans: tuple[str, str] = ("true", "false")
    decimal: Literal[".", ","] = "."
    list_separator: str = Field(default="", max_length=3)

    @field_validator("file")
    @classmethod
    def _check_file(cls, file: str) -> str:
        if "table" not in Template(file).names:
            raise ValueError("expected {table} in it. Name the file of a single table below tables:")
        return file

    @field_validator("booleans")
    @classmethod
    def _check_booleans(cls, words: tuple[str, str]) -> tuple[str, str]:
        if words[0] == words[1] or not all(words):
            raise ValueError("expected two words, as in [Y, N]")
        return words


def file_names(form: Form, tables: Collection[TableForm]) -> Iterator[str]:
    """The names of files that the settings say."""
    if not tables or any(not table.file for table in tables):
        yield form.file
    for table in tables:
        yield from filter(None, (table.file, table.deletes))


def check_tables(form: Form, tables: Iterable[tuple[str, TableForm]]) -> None:
    """What is wrong between the tables of one system. Raises ValueError."""
    names: dict[str, str] = {}
    for table, one in tables:
        names[table] = (one.file or form.file).replace("{table}", table)
        if one.deletes and form.kind == "full":
            raise ValueError("deletes: only with kind: changes (a full file has all that is there)")
        if one.deletes:
            names[f"what is gone of {table}"] = one.deletes.replace("{table}", table)
    if both := twins(names):
        raise ValueError(f"the files of {both} have the same name")


class Dialect(NamedTuple):
    """How the characters of a file stand for cells. Pure: text in, text out."""

    delimiter: str
    quote: str
    backslash: bool
    encoding: str
    end: str = "\r\n"
    quote_all: bool = False

    @classmethod
    def of(cls, form: Form, end: str = "crlf", *, quote_all: bool = False) -> "Dialect":
        backslash = form.escape == "backslash"
        return cls(form.delimiter, form.quote, backslash, form.encoding, LINE_ENDS[end], quote_all)

    def read(self, stream: IO[bytes], unended: text.Unended = text.ignore) -> text.Reader:
        """The rows of a file. Strict: an unclosed or misplaced quote is an error, never a guess."""
        return csv.reader(
            text.lines(stream, unended, self.encoding),
            delimiter=self.delimiter,
            quotechar=self.quote or None,
            doublequote=not self.backslash,
            escapechar="\\" if self.backslash else None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            strict=True,
        )

    def line(self) -> Callable[[Sequence[str]], str]:
        """The function from cells that fit to a line with its end."""
        special, delimiter, end = self._special().search, self.delimiter, self.end
        if self.quote_all and self.quote:
            return lambda cells: delimiter.join(map(self._quoted, cells)) + end

        def line(cells: Sequence[str]) -> str:
            if special("".join(cells)):
                cells = [self._quoted(cell) if special(cell) else cell for cell in cells]
            return delimiter.join(cells) + end

        return line

    def fits(self) -> Callable[[str, str], None]:
        """The function that says whether a cell (name, text) can stand in such a file. Raises Unwritable."""
        special = self._special().search
        bare = not self.quote and not self.backslash

        def fits(name: str, cell: str) -> None:
            if not cell.isascii() and not encodable(cell, self.encoding):
                shown = "UTF-8" if self.encoding.startswith("utf") else self.encoding
                raise Unwritable(f"{name}: a character that no file in {shown} can hold")
            if "\0" in cell:
                raise Unwritable(f"{name}: a character that no file of text can hold (NUL)")
            if bare and special(cell):
                what = "a delimiter or a line break in it, and the settings have no quote and no escape"
                raise Unwritable(f"{name}: {what}")

        return fits

    def _special(self) -> re.Pattern[str]:
        """What may not stand in a cell as it is. The mark would be taken for that of the encoding."""
        marks = self.delimiter + self.quote + ("\\" if self.backslash else "") + "\r\n" + _MARK
        return re.compile(f"[{re.escape(marks)}]")

    def _quoted(self, cell: str) -> str:
        if not self.quote:
            return self._special().sub(lambda found: "\\" + found[0], cell)
        if self.backslash:
            cell = cell.replace("\\", "\\\\").replace(self.quote, "\\" + self.quote)
        else:
            cell = cell.replace(self.quote, self.quote * 2)
        return self.quote + cell + self.quote


def foreign_mark(start: bytes, encoding: str) -> str:
    """What is wrong with the mark at the start of a file, if it has that of another encoding."""
    wide = start[:2] in (b"\xff\xfe", b"\xfe\xff")
    if encoding == "utf-16":
        return "" if wide or not start else "no mark of UTF-16 (expected utf-16). Is it another encoding?"
    other = "utf-16" if wide else "utf-8" if start == b"\xef\xbb\xbf" and encoding[:5] != "utf-8" else ""
    return (
        f"the mark of {other} (expected {encoding}). Export it so, or set encoding: {other}" if other else ""
    )


def encoded(lines: Iterable[str], encoding: str) -> Iterator[bytes]:
    """The bytes of a file, with the mark that some encodings have at the start."""
    yield _MARK.encode("utf-8") if encoding == "utf-8-sig" else b"\xff\xfe" if encoding == "utf-16" else b""
    codec = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    for line in lines:
        yield line.encode(codec)
