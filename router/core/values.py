"""A field's value, read from text or from what an expression gave: one normal form per type.

integer: 64 bits. number: a float. date: 2026-11-23. datetime: 2026-11-23T15:04:05Z. list: trimmed texts
without blank ones. A blank is None. Every reader raises ValueError for text that is not of its
type, and no message holds the text.
"""

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Final

from bus.messages import Fields, Value
from router.core.rules import Type

Parse = Callable[[str], Value]

REMEMBERED_MAX: Final = 4096
"""Dates come again and again: a term's, a class's."""

_INTEGER_MAX: Final = 2**63 - 1
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,19}", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DATETIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(?:Z|[-+][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}

EXPECTED: Final[Mapping[Type, str]] = {
    Type.TEXT: "text",
    Type.INTEGER: "a whole number",
    Type.NUMBER: "a number",
    Type.BOOLEAN: "true or false",
    Type.DATE: "a date as in 2026-11-23",
    Type.DATETIME: "a time as in 2026-11-23T15:04:05Z",
    Type.LIST: "a list separated by commas",
    Type.REFERENCE: "an id",
    Type.REFERENCES: "ids separated by commas",
}
"""What a person should have written."""


def parser(type_: Type, zone: tzinfo = UTC) -> Parse | None:
    """The function that reads text which is not blank; None where the text is the value already.

    Times without a zone are in `zone`.
    """
    if type_ is Type.DATETIME:
        return lambda text: _datetime(text, zone)
    return _PARSERS.get(type_)


def coerce(type_: Type, value: object, zone: tzinfo = UTC) -> Value:
    """What an expression gave, as a value of this type.

    >>> coerce(Type.BOOLEAN, "TRUE"), coerce(Type.NUMBER, 1), coerce(Type.LIST, ["a", " "])
    (True, 1.0, ('a',))
    """
    if value is None:
        return None
    if isinstance(value, str):
        parse = parser(type_, zone)
        if not value or value.isspace():
            return None
        return parse(value) if parse else value
    if isinstance(value, bool):
        return value if type_ is Type.BOOLEAN else _no()
    if isinstance(value, int | float):
        return _coerce_number(type_, value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=zone)
        return _utc(aware) if type_ is Type.DATETIME else _no()
    if isinstance(value, list | tuple) and type_ in (Type.LIST, Type.REFERENCES):
        if not all(isinstance(item, str) for item in value):
            return _no()
        return tuple(item.strip() for item in value if item.strip()) or None
    return _no()


def normal_date(text: str, format_: str) -> str:
    """Text in a strptime format, as the hub writes it: a date, or a time if the format has hours.

    >>> normal_date("11/23/2026", "%m/%d/%Y")
    '2026-11-23'
    """
    # a reading of a person's clock: the zone is applied by the reader of the normal form
    read = datetime.strptime(text.strip(), format_)  # noqa: DTZ007
    if not _has_time(format_):
        return read.date().isoformat()
    return read.isoformat()


def _no() -> Value:
    raise ValueError


def _has_time(format_: str) -> bool:
    return any(directive in format_ for directive in ("%H", "%I", "%T", "%X", "%c"))


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text := text.strip()):
        raise ValueError
    value = int(text)
    if abs(value) > _INTEGER_MAX:
        raise ValueError
    return value


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text := text.strip()):
        raise ValueError
    return _finite(float(text))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError
    return value + 0.0  # -0.0 and 0.0 are one value


def _coerce_number(type_: Type, value: int | float) -> Value:
    if type_ is Type.NUMBER:
        return _finite(float(value))
    if type_ is Type.INTEGER and isinstance(value, int) and abs(value) <= _INTEGER_MAX:
        return value
    return _no()


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text) if text in _BOOLEANS else _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise ValueError
    return value


@lru_cache(maxsize=REMEMBERED_MAX)
def _date(text: str) -> str:
    if not _DATE.fullmatch(text := text.strip()):
        raise ValueError
    date.fromisoformat(text)
    return text


def _datetime(text: str, zone: tzinfo) -> str:
    if not _DATETIME.fullmatch(text := text.strip()):
        raise ValueError
    read = datetime.fromisoformat(text)
    return _utc(read if read.tzinfo else read.replace(tzinfo=zone))


def _utc(read: datetime) -> str:
    try:
        return read.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:  # the first or last day of the calendar
        raise ValueError from None


def _list(text: str) -> tuple[str, ...] | None:
    if '"' in text:
        try:
            parts = next(csv.reader([text], skipinitialspace=True, strict=True))
        except csv.Error:
            raise ValueError from None
    else:
        parts = text.split(",")
    return tuple(trimmed for part in parts if (trimmed := part.strip())) or None


_PARSERS: Final[Mapping[Type, Parse]] = {
    Type.INTEGER: _integer,
    Type.NUMBER: _number,
    Type.BOOLEAN: _boolean,
    Type.DATE: _date,
    Type.LIST: _list,
    Type.REFERENCES: _list,
}


def in_order(fields: Fields, names: Iterable[str]) -> dict[str, Value]:
    """Lists whose order says nothing, each item once and sorted: then equal sets are equal values."""
    return {name: tuple(sorted(set(value))) for name in names if isinstance(value := fields.get(name), tuple)}
