"""`conflicts`: two systems changed the same fields; what stands, what was claimed, and a person's pick."""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from bus.codec import decode_conflict
from bus.errors import BusError
from bus.messages import EXISTENCE, Conflict, Event, Op, Outcome, Record, Value
from bus.services import Command
from router.core.acts import LOOK_AGAIN, decide_pick, whole_groups
from router.core.rules import EntityRule
from router.core.values import EXPECTED, coerce
from router.gathering import OPERATOR
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
        rev = record_of(pipeline, row[1]).rev
        entry = {**_entry(row, values=True), "rev": rev}
        return reply({"timezone": pipeline.district.timezone, "conflict": entry})

    async def resolved(operator: str, request: bytes) -> bytes:
        says = asked(request)
        row = _row(pipeline, str(says.get("id", "")))
        conflict, _ = decode_conflict(row[4])
        entity, record = known_entity(pipeline, conflict.key), record_of(pipeline, conflict.key)
        rules, zone = pipeline.district.entities[entity], ZoneInfo(pipeline.district.timezone)
        fields = whole_groups(_picked(conflict, says, rules, zone), record, rules)
        about = {
            "key": conflict.key,
            "looked_at": _looked_at(row[0], conflict, record, fields, says.get("looked_at")),
            "conflict": row[0],
            "who": operator,
            "why": why_of(says),
        }
        try_ = Event("", OPERATOR, entity, Op.PICK, "", fields, False, now_ms(), act=about)
        if (tried := decide_pick(record, try_, rules, 0)).outcome is Outcome.REFUSED:
            raise _not_picked(row[0], record, tried.reason)
        seq = await act(pipeline, now_ms, Op.PICK, entity, about, fields)
        after = record_of(pipeline, conflict.key)
        if any(after.values.get(name) != value for name, value in fields.items()):
            raise _not_picked(row[0], after, LOOK_AGAIN)
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


def _looked_at(id_: str, conflict: Conflict, record: Record, fields: Mapping[str, Value], rev: object) -> int:
    """The rev that the person saw: the one they say, else any, unless a field has got another value since
    the conflict. Raises BusError.
    """
    if rev is not None:
        if not isinstance(rev, int) or isinstance(rev, bool):
            raise BusError("looked_at: expected a rev, as in 7. Nothing was picked")
        return rev
    known = max(conflict.event_seq, conflict.other_seq)
    newer = [n for n in fields if n in record.origins and record.origins[n].event_seq > known]
    if newer:
        raise _not_picked(id_, record, f"{', '.join(newer)}: {LOOK_AGAIN}")
    return record.rev


def _not_picked(id_: str, record: Record, why: str) -> BusError:
    return BusError(
        f"{id_}: {record.key}: {why}. Nothing was picked. Look: yellowbus explain {record.key}; to pick all"
        f" the same: --rev {record.rev}"
        if LOOK_AGAIN in why
        else f"{id_}: {record.key}: {why}. Nothing was picked. See: yellowbus conflicts show {id_}"
    )


def _picked(conflict: Conflict, says: Mapping[str, Any], rules: EntityRule, zone: tzinfo) -> dict[str, Value]:
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
        return {str(name): _value(rules, str(name), value, zone) for name, value in given.items()}
    raise BusError(f"take: expected one of {', '.join(sides)}, or values of {', '.join(names)}")


def _value(rules: EntityRule, name: str, value: object, zone: tzinfo) -> Value:
    """Text as a source's is read, or a value of the field's own type. Raises BusError, without the value."""
    field = rules.fields.get(name)
    if field is None:
        raise BusError(f"{name}: {rules.name} has no such field any more. Nothing was picked")
    try:
        return coerce(field.type, value, zone)
    except ValueError:
        raise BusError(f"{name}: expected {EXPECTED[field.type]}. Nothing was picked") from None
