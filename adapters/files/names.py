"""Names of files with {date}, {time}, {seq} and {table} in them: to write, and to recognise."""

import re
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_USUAL: Final = {"date": "%Y%m%d", "time": "%H%M%S"}
_DIGITS: Final = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "y": 2, "j": 3}
_DIRECTIVE: Final = re.compile("%(.)")


class Template:
    """A name as written in the settings. Raises ValueError that says what is wrong with it.

    {date} is %Y%m%d and {time} %H%M%S (UTC), or as said: {date:%Y-%m-%d}. {seq} is a number of six digits.

    >>> Template("{table}_{date:%d%m%y}.csv").name(at_ms=0, table="users")
    'users_010170.csv'
    """

    def __init__(self, text: str, *, known: Collection[str] = ("date", "time", "seq", "table")) -> None:
        self.text = text
        if not text or "/" in text or text.startswith("."):
            raise ValueError("expected the name of a file, without a folder and without a dot before it")
        self._parts: list[tuple[str, str, str]] = []
        for literal, name, spec, conversion in string.Formatter().parse(text):
            if name is not None and (name not in known or conversion):
                expected = ", ".join(f"{{{one}}}" for one in sorted(known))
                raise ValueError(f"{{{name}}} (expected {expected})")
            if spec and name not in _USUAL:
                raise ValueError(f"{{{name}:{spec}}} (expected {{{name}}})")
            self._parts.append((literal, name or "", spec or _USUAL.get(name or "", "")))
            for directive in _DIRECTIVE.findall(spec or ""):
                if directive not in _DIGITS:
                    expected = " ".join(f"%{one}" for one in _DIGITS)
                    raise ValueError(f"%{directive} in {{{name}}} (expected {expected})")

    @property
    def names(self) -> frozenset[str]:
        """What stands in braces."""
        return frozenset(name for _, name, _ in self._parts if name)

    @property
    def tells_apart(self) -> tuple[str, ...]:
        """What tells its files apart, in order: all that stands in braces but the table, and each *."""
        found: list[str] = []
        for literal, name, spec in self._parts:
            found += ["*"] * literal.count("*")
            found += [f"{name}:{spec}"] if name not in ("", "table") else []
        return tuple(found)

    def name(self, *, at_ms: int, seq: int = 0, table: str = "") -> str:
        """The name of the file that is written then."""
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        said = {"seq": f"{seq:06d}", "table": table}
        return "".join(
            literal + (at.strftime(spec) if name in _USUAL else said.get(name, ""))
            for literal, name, spec in self._parts
        )

    def pattern(self, table: str = ".+", *, wild: bool = False) -> re.Pattern[str]:
        """What its names look like; `wild`: a * stands for anything. The groups are what tells sets apart."""
        found = ""
        for literal, name, spec in self._parts:
            text = re.escape(literal)
            found += text.replace(r"\*", "(.*)") if wild else text
            if name in _USUAL:
                found += f"({_digits(spec)})"
            elif name:
                found += r"(\d+)" if name == "seq" else table
        return re.compile(found, re.DOTALL)


def _digits(spec: str) -> str:
    pieces = _DIRECTIVE.split(spec)
    return "".join(
        rf"\d{{{_DIGITS[piece]}}}" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)
    )


def free(folder: Path, seq: int, names: Callable[[int], Iterable[str]]) -> int:
    """The first number from this one on of which no file is there: none is written over."""
    while any((folder / name).exists() for name in names(seq)):
        seq += 1
    return seq


def twins(names: Mapping[str, str]) -> str:
    """Two tables whose files have the same name, as text; '' if there are none.

    >>> twins({"users": "all.csv", "orgs": "all.csv"})
    'orgs and users'
    """
    tables: dict[str, str] = {}
    for table, name in names.items():
        if name in tables:
            return " and ".join(sorted((tables[name], table)))
        tables[name] = table
    return ""
