"""Messages <-> msgpack maps with a schema version. Pure.

A newer schema only adds entries: what we do not know is kept (`extra`) and goes out again. A body that is not
one of ours raises Garbage, whatever its bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgpack
from msgspec import DecodeError
from msgspec.msgpack import Encoder

from bus.bodies import ChangeBody, EventBody, SeenBody, entries, read_change, read_event, read_systems
from bus.errors import Garbage
from bus.messages import (
    Alert,
    AuditRecord,
    Change,
    Conflict,
    Event,
    Outcome,
    Record,
    Seen,
    Severity,
    Step,
    Value,
)
from bus.origins import Origins

SCHEMA: Final = 1

T = TypeVar("T")

_pack: Final[Callable[[object], bytes]] = Encoder().encode


def unpack(body: bytes) -> dict[str, Any]:
    """Any of our bodies as a map of plain values, lists as tuples. Raises Garbage."""
    try:
        found = msgpack.unpackb(body, use_list=False, strict_map_key=True)
    except Exception as error:  # msgpack raises its own kinds, ValueError, UnicodeDecodeError, RecursionError
        raise Garbage(f"not a yellowbus message: {type(error).__name__}, {len(body)} bytes") from None
    if not isinstance(found, dict) or not isinstance(found.get("v"), int):
        raise Garbage(f"not a yellowbus message: no schema version, {len(body)} bytes")
    return found


def _decoded(what: str, body: bytes, build: Callable[[dict[str, Any]], T]) -> T:
    entries = unpack(body)
    try:
        return build(entries)
    except KeyError as error:  # of our own names only: what a body says is never told
        raise Garbage(f"not a valid {what}: {error}, {len(body)} bytes") from None
    except (TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise Garbage(f"not a valid {what}: {type(error).__name__}, {len(body)} bytes") from None


def _read(what: str, read: Callable[[bytes], T], body: bytes) -> T:
    try:
        return read(body)
    except DecodeError as error:  # what a body says is never told: of its message the place alone
        where = str(error).partition(" - at ")[2] or type(error).__name__
        raise Garbage(f"not a valid {what}: {where}, {len(body)} bytes") from None
    except (ValueError, RecursionError) as error:
        raise Garbage(f"not a valid {what}: {type(error).__name__}, {len(body)} bytes") from None


# -- events -----------------------------------------------------------------------------------------------

_EVENT_NAMES: Final = frozenset(EventBody.__struct_fields__)


def encode_event(event: Event) -> bytes:
    """One event as it stands on EVENTS."""
    entries: dict[str, object] = {
        "v": SCHEMA,
        "id": event.id,
        "system": event.system,
        "entity": event.entity,
        "op": event.op,
        "local_id": event.local_id,
        "full": event.full,
        "observed_at_ms": event.observed_at_ms,
        "fields": event.fields,
    }
    if event.occurred_at_ms is not None:
        entries["occurred_at_ms"] = event.occurred_at_ms
    if event.read:
        entries["read"] = event.read
    if event.act:
        entries["act"] = event.act
    if event.hub_id:
        entries["hub_id"] = event.hub_id
    if event.extra:
        entries.update(event.extra)
    return _pack(entries)


def decode_event(body: bytes, traceparent: str = "") -> Event:
    """The event in a message on EVENTS. Raises Garbage."""
    found = _read("event", read_event, body)
    acts = bool(found.act)
    known = 9 + (found.occurred_at_ms is not None) + bool(found.read) + acts + bool(found.hub_id)
    return Event(
        found.id,
        found.system,
        found.entity,
        found.op,
        found.local_id,
        found.fields,
        found.full,
        found.observed_at_ms,
        found.occurred_at_ms,
        found.read,
        traceparent,
        _unknown(body, _EVENT_NAMES) if entries(body) > known else {},
        _decoded("event", body, lambda plain: dict(plain["act"])) if acts else {},
        found.hub_id,
    )


def _unknown(body: bytes, known: frozenset[str]) -> dict[str, object]:
    return {name: value for name, value in unpack(body).items() if name not in known}


# -- changes and records ----------------------------------------------------------------------------------

_CHANGE_NAMES: Final = frozenset(ChangeBody.__struct_fields__)


def encode_change(change: Change) -> bytes:
    """One change as it stands on CHANGES: the record, and the decision that made it.

    Fields that share an origin name it once: most of a record came in one event.
    """
    record = change.record
    body = _pack(
        ChangeBody(
            SCHEMA,
            record.key,
            record.rev,
            record.entity,
            change.op,
            record.deleted,
            record.values,
            Origins.of(record.origins).shared,
            record.links,
            _seen_entries(record.seen, tuple(record.values)),
            record.changed,
            record.event_seq,
            change.event_id,
            change.system,
            change.outcome,
            change.refused,
            change.decided_at_ms,
            change.observed_at_ms,
            record.asked,
            record.turns,
            record.aliases,
            record.into,
            change.conflicts,
        )
    )
    return _pack({**unpack(body), **record.extra}) if record.extra else body


def _seen_entries(seen: Mapping[str, Seen], names: tuple[str, ...]) -> dict[str, Any]:
    """Short: most systems speak of all of a record's fields, and say what it has."""
    return {
        system: (each.at_ms, None if each.names == names else each.names)
        + (tuple(each[2:]) if any(each[2:]) else ())
        for system, each in seen.items()
    }


def _seen(found: Mapping[str, SeenBody], names: tuple[str, ...]) -> dict[str, Seen]:
    return {
        system: Seen(each.at_ms, names if each.names is None else each.names, *each[2:])
        for system, each in found.items()
    }


def _record(found: ChangeBody, body: bytes, seq: int) -> Record:
    return Record(
        found.key,
        found.entity,
        found.rev,
        seq,
        found.deleted,
        found.changed,
        found.event_seq,
        found.values,
        Origins(found.origins),
        found.links,
        _seen(found.seen, tuple(found.values)),
        _unknown(body, _CHANGE_NAMES) if entries(body) > 18 else {},
        found.asked,
        found.turns,
        found.aliases,
        found.into,
    )


def decode_record(body: bytes, seq: int) -> Record:
    """The record in a message on CHANGES (or in the index, which keeps that body). Raises Garbage."""
    return _record(_read("change", read_change, body), body, seq)


def decode_change(body: bytes, seq: int, traceparent: str = "") -> Change:
    """The whole change in the message with that sequence on CHANGES. Raises Garbage."""
    found = _read("change", read_change, body)
    return Change(
        _record(found, body, seq),
        found.op,
        found.event_id,
        found.system,
        found.outcome,
        found.refused,
        found.decided_at_ms,
        found.observed_at_ms,
        traceparent,
        found.conflicts,
    )


def encode_conflict(conflict: Conflict, act: Mapping[str, object]) -> bytes:
    """A conflict as it stands on AUDIT, and in the index: the one kind of record there that holds values.

    `act`: how it was settled later, by whom and why; empty until then.
    """
    return _pack({"v": SCHEMA, **conflict._asdict(), **({"act": act} if act else {})})


def decode_conflict(body: bytes) -> tuple[Conflict, Mapping[str, Any]]:
    """The inverse of `encode_conflict`. Raises Garbage."""
    return _decoded(
        "conflict",
        body,
        lambda entries: (
            Conflict(**{name: entries[name] for name in Conflict._fields}),
            dict(entries.get("act", {})),
        ),
    )


def encode_seen(seen: Mapping[str, Seen]) -> bytes:
    """What systems last said, for the index: it moves without a change too."""
    return _pack({"v": SCHEMA, "seen": _seen_entries(seen, ())})


def decode_seen(body: bytes) -> dict[str, Seen]:
    """The inverse of `encode_seen`. Raises Garbage."""
    return _seen(_read("seen", read_systems, body).seen, ())


def encode_given(given: Mapping[str, Sequence[tuple[int, Value]]]) -> bytes:
    """What a destination was given, for the index: by field (when, the value)."""
    return _pack({"v": SCHEMA, "given": given})


def decode_given(body: bytes) -> dict[str, tuple[tuple[int, Value], ...]]:
    """The inverse of `encode_given`. Raises Garbage."""
    return _decoded("given", body, lambda entries: dict(entries["given"]))


# -- audit, alerts ----------------------------------------------------------------------------------------

_AUDIT_NAMES: Final = AuditRecord._fields


def encode_audit(records: Sequence[AuditRecord]) -> bytes:
    """Audit records that share a subject, in one message: what is the same in all of them once (`all`), each
    other entry as a column (`each`, always with the ids); blank entries are left out.

    By columns, because most entries are the same in all, and the others are packed without a step of Python.
    """
    shared: dict[str, object] = {}
    columns: dict[str, tuple[object, ...]] = {"id": ()}
    for name, column in zip(_AUDIT_NAMES, zip(*records, strict=True), strict=False):
        if name == "id" or column.count(column[0]) < len(column):
            columns[name] = column
        elif column[0]:
            shared[name] = column[0]
    return _pack({"v": SCHEMA, "all": shared, "each": columns})


def _audit_records(entries: Mapping[str, Any]) -> list[AuditRecord]:
    shared = {name: value for name, value in entries["all"].items() if name in _AUDIT_NAMES}
    columns = {name: column for name, column in entries["each"].items() if name in _AUDIT_NAMES}
    return [
        _audit_record(shared | dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    ]


def _audit_record(known: dict[str, Any]) -> AuditRecord:
    known.setdefault("at_ms", 0)
    known["step"] = Step(known["step"])
    known["outcome"] = Outcome(known["outcome"])
    return AuditRecord(**known)


def decode_audit(body: bytes) -> list[AuditRecord]:
    """The audit records in a message on AUDIT. Raises Garbage."""
    return _decoded("audit record", body, _audit_records)


def encode_alert(alert: Alert) -> bytes:
    """One alert as it stands on ALERTS."""
    return _pack({"v": SCHEMA, **alert._asdict(), "severity": alert.severity})


def decode_alert(body: bytes) -> Alert:
    """The alert in a message on ALERTS. Raises Garbage."""
    return _decoded(
        "alert",
        body,
        lambda entries: Alert(
            **{name: entries[name] for name in Alert._fields if name != "severity"},
            severity=Severity(entries["severity"]),
        ),
    )


def encode_state(entries: Mapping[str, object]) -> bytes:
    """A fact on STATE: a plain map."""
    return _pack({"v": SCHEMA, **entries})
