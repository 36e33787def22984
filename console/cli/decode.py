"""`yellowbus decode`: one message in, one line of JSON out. For `nats stream view --translate`.

It runs once for each message, so it imports next to nothing.
"""

import json
import sys
from typing import Any, Final

import click
import msgpack

MASK: Final = "***"


@click.command()
@click.option("--values", is_flag=True, help="Show what stands in fields. It may be about people.")
def decode(values: bool) -> None:
    """Translate one message from standard input into one line of JSON.

    Fields are named, and what stands in them is not shown, unless --values. Bytes that are none of our
    messages are said to be that.
    """
    sys.stdout.write(line_of(sys.stdin.buffer.read(), values=values) + "\n")


def line_of(body: bytes, *, values: bool) -> str:
    """A body as JSON on one line, whatever its bytes are."""
    try:
        found = msgpack.unpackb(body, strict_map_key=False, unicode_errors="replace", timestamp=0)
        if not isinstance(found, dict) or not isinstance(found.get("v"), int):
            raise ValueError
        if isinstance(found.get("all"), dict) and isinstance(found.get("each"), dict):
            found = {"v": found["v"], "records": _records(found["all"], found["each"])}
        return json.dumps(found if values else masked(found), default=_plain)
    except Exception:  # whatever a foreign body does to a decoder
        said: dict[str, object] = {"foreign": True, "bytes": len(body)}
        if values:
            said["text"] = body.decode(errors="replace")
        return json.dumps(said)


def _records(shared: dict[Any, Any], columns: dict[Any, Any]) -> list[dict[Any, Any]]:
    """Audit records, one after the other, out of what they share and their columns."""
    return [shared | dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def masked(entries: dict[Any, Any]) -> dict[Any, Any]:
    """The same with every value of a field replaced: an event's `fields`, a change's `values`, `seen` and
    `conflicts`, a conflict's both sides, the event of what waits unmatched.
    """
    shown = dict(entries)
    for name in ("fields", "values", "other_values"):
        if isinstance(shown.get(name), dict):
            shown[name] = dict.fromkeys(shown[name], MASK)
        elif name != "fields" and name in shown:
            shown[name] = MASK
    for name in ("conflicts", "event"):
        if name in shown and not isinstance(shown[name], int):
            shown[name] = MASK
    if isinstance(shown.get("seen"), dict):
        shown["seen"] = {system: _seen(entry) for system, entry in shown["seen"].items()}
    return shown


def _seen(entry: Any) -> Any:
    """(when, claims that do not stand)."""
    if not isinstance(entry, list):
        return MASK
    return [dict.fromkeys(part, MASK) if isinstance(part, dict) else part for part in entry]


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
