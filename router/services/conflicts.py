"""`conflicts`: two systems changed the same fields; what stands, what was claimed, and a person's pick."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bus.codec import decode_conflict
from bus.errors import BusError
from bus.messages import EXISTENCE, Conflict, Op, Value
from bus.services import Command
from router.pipeline import Pipeline
from router.services.acts import act, known_entity, record_of, why_of
from router.services.asking import asked, reply

MOST: Final = 200

Row = tuple[str, str, int, str, bytes]
"""id, key, at_ms, state, body: as in the index."""


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `conflicts.list`, `conflicts.show` and `conflicts.resolve`."""

    async def listed(operator: str, request: bytes) -> bytes:
        says = asked(request)
        most = min(int(says.get("most", 50)), MOST)
        state, key = str(says.get("state", "")), str(says.get("key", ""))
        rows = pipeline.store.read("conflicts", state, key, most, int(says.get("offset", 0)))
        entries = [_entry(row) for row in rows]
        return reply({"timezone": pipeline.district.timezone, "conflicts": entries})

    async def shown(operator: str, request: bytes) -> bytes:
        row = _row(pipeline, str(asked(request).get("id", "")))
        return reply({"timezone": pipeline.district.timezone, "conflict": _entry(row, values=True)})

    async def resolved(operator: str, request: bytes) -> bytes:
        says = asked(request)
        row = _row(pipeline, str(says.get("id", "")))
        conflict, _ = decode_conflict(row[4])
        fields = _picked(conflict, says)
        record = record_of(pipeline, conflict.key)
        about = {
            "key": conflict.key,
            "looked_at": int(says.get("looked_at", record.rev)),
            "conflict": row[0],
            "who": operator,
            "why": why_of(says),
        }
        seq = await act(pipeline, now_ms, Op.PICK, known_entity(pipeline, conflict.key), about, fields)
        after = record_of(pipeline, conflict.key)
        done = all(after.values.get(name) == value for name, value in fields.items())
        if not done:
            raise BusError(
                f"{row[0]}: {conflict.key} has changed since. Nothing was picked."
                f" Look again: yellowbus conflicts show {row[0]}"
            )
        return reply({"picked": sorted(fields), "key": conflict.key, "event": seq})

    return [
        Command(what="conflicts.list", answer=listed, description="Conflicts, newest first; no values"),
        Command(what="conflicts.show", answer=shown, description="One conflict with both sides' values"),
        Command(what="conflicts.resolve", answer=resolved, description="A person picks a side, with why"),
    ]


def _row(pipeline: Pipeline, id_: str) -> Row:
    rows = pipeline.store.read("conflict", id_)
    if not rows:
        raise BusError(f"{id_}: there is no such conflict. See: yellowbus conflicts list")
    id_, key, at_ms, state, body = rows[0]
    return id_, key, at_ms, state, body


def _entry(row: Sequence[Any], *, values: bool = False) -> Mapping[str, Any]:
    id_, key, at_ms, state, body = row
    conflict, _ = decode_conflict(body)
    one = {"system": conflict.system, "at_ms": conflict.at_ms, "event": conflict.event_seq}
    other = {"system": conflict.other, "at_ms": conflict.other_ms, "event": conflict.other_seq}
    if values:
        one["values"] = list(conflict.values)
        other["values"] = list(conflict.other_values)
    return {
        "id": id_,
        "key": key,
        "at_ms": at_ms,
        "state": state,
        "fields": [name or "(exists)" for name in conflict.fields],
        "rule": conflict.rule,
        "winner": conflict.winner,
        "sides": [one, other],
    }


def _picked(conflict: Conflict, says: Mapping[str, Any]) -> dict[str, Value]:
    """The values that a person picks: one side's (`take`), or others (`values`). Raises BusError."""
    names = [name for name in conflict.fields if name != EXISTENCE]
    if not names:
        raise BusError("whether a record exists is not picked here: its owner says so")
    take = str(says.get("take", ""))
    sides = {conflict.system: conflict.values, conflict.other: conflict.other_values}
    if take in sides:
        return {
            name: value for name, value in zip(conflict.fields, sides[take], strict=True) if name != EXISTENCE
        }
    given = says.get("values")
    if isinstance(given, dict) and set(given) <= set(names) and given:
        return {str(name): _value(value) for name, value in given.items()}
    raise BusError(f"take: expected one of {', '.join(sides)}, or values of {', '.join(names)}")


def _value(value: object) -> Value:
    if isinstance(value, list):
        return tuple(str(each) for each in value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise BusError(
        f"values: {type(value).__name__} is no value (expected text, number, boolean, list or null)"
    )
