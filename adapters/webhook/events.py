"""A webhook's body to what it says, whole or not at all. Pure. No error holds a value."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bus.adapter import Said, Unsound

ID_LENGTH_MAX: Final = 500
NAME_LENGTH_MAX: Final = 64
"""Of a name in an answer: it is the sender's text."""

_OPS: Final = ("create", "update", "delete")
_MEMBERS: Final = ("id", "table", "op", "data", "full", "occurred_at")


class TooMany(Exception):
    """More events than one request may carry."""


def read_events(body: bytes, events_max: int, sent_at_ms: int) -> list[Said]:
    """What a body says that was sent then, by the sender's clock: one event, or `{"events": [event, …]}`.

    Raises Unsound or TooMany.
    """
    try:
        says = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Unsound(0, "body", "not JSON in UTF-8") from None
    if not isinstance(says, dict):
        raise Unsound(0, "body", "not an object (an event, or events: a list of them, expected)")
    events = [says]
    if "events" in says:
        events = says["events"]
        if not isinstance(events, list):
            raise Unsound(0, "events", "not a list")
        if len(says) > 1:
            raise Unsound(0, _named(*(name for name in says if name != "events")), "unknown beside events")
    if len(events) > events_max:
        raise TooMany
    return [_Event(index, event).said(sent_at_ms) for index, event in enumerate(events)]


def _no_number(text: str) -> None:
    raise ValueError  # NaN and Infinity are Python's, not JSON's


class _Event:
    """One event of a body, in its place."""

    def __init__(self, index: int, event: Any) -> None:
        self._index = index
        if not isinstance(event, dict):
            raise self._wrong("events", "not an object")
        self._event: Mapping[str, Any] = event

    def said(self, sent_at_ms: int) -> Said:
        unknown = [name for name in self._event if name not in _MEMBERS]
        if unknown:
            raise self._wrong(_named(*unknown), f"unknown (expected: {', '.join(_MEMBERS)})")
        op = self._event.get("op", "update")
        if op not in _OPS:
            raise self._wrong("op", f"unknown (expected one of: {', '.join(_OPS)})")
        full = self._event.get("full", False)
        if not isinstance(full, bool):
            raise self._wrong("full", "neither true nor false")
        occurred_at_ms = self._occurred_at_ms()
        return Said(
            self._id(),
            self._table(),
            self._values(),
            deleted=op == "delete",
            full=full,
            occurred_at_ms=occurred_at_ms,
            age_ms=max(0, sent_at_ms - occurred_at_ms) if occurred_at_ms is not None else 0,
        )

    def _wrong(self, field: str, reason: str) -> Unsound:
        return Unsound(self._index, field, reason)

    def _id(self) -> str:
        id_ = self._event.get("id", "")
        if isinstance(id_, int) and not isinstance(id_, bool):
            id_ = str(id_)
        if not isinstance(id_, str) or len(id_) > ID_LENGTH_MAX:
            raise self._wrong("id", f"not text of at most {ID_LENGTH_MAX} characters")
        return self._unicode("id", id_)

    def _table(self) -> str:
        table = self._event.get("table")
        if not isinstance(table, str) or not table:
            raise self._wrong("table", "missing, or not text")
        return table

    def _values(self) -> dict[str, str]:
        data = self._event.get("data")
        if not isinstance(data, dict):
            raise self._wrong("data", "missing, or not an object")
        return {self._unicode("data", name): self._value(name, value) for name, value in data.items()}

    def _value(self, name: str, value: Any) -> str:
        field = _named("data", name)
        if isinstance(value, str):
            return self._unicode(field, value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return repr(value)
        if value is None:
            return ""
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return self._unicode(field, cell(value))
        raise self._wrong(field, "neither text, number, boolean, null nor a list of text")

    def _unicode(self, field: str, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._wrong(field, "half a surrogate pair is not Unicode") from None
        return text

    def _occurred_at_ms(self) -> int | None:
        text = self._event.get("occurred_at")
        if text is None:
            return None
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                raise ValueError
            return int(at.timestamp() * 1000)
        except (TypeError, ValueError, OverflowError):
            raise self._wrong("occurred_at", "not a time as in 2026-11-24T15:04:05Z") from None


def cell(items: list[str]) -> str:
    """A list as one cell of comma separated text, quoted where it must be.

    >>> cell(["art", "craft, with glue"])
    '"art","craft, with glue"'
    """
    if not any(mark in item for item in items for mark in ',"\r\n'):
        return ",".join(items)
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow(items)
    return out.getvalue()


def _named(*names: str) -> str:
    """Names as a field of an answer: short, and in one line."""
    text = ".".join(names)[:NAME_LENGTH_MAX]
    return text if text.isprintable() else ascii(text)
