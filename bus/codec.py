"""Messages <-> msgpack maps with a schema version. Pure.

A newer schema only adds entries: what we do not know is kept (`extra`) and goes out again. A body that is not
one of ours raises Garbage, whatever its bytes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgpack

from bus.errors import Garbage
from bus.messages import (
    Alert,
    AuditRecord,
    Change,
    Claim,
    Conflict,
    Event,
    Op,
    Origin,
    Outcome,
    Record,
    Seen,
    Severity,
    Step,
    Value,
)

SCHEMA: Final = 1

T = TypeVar("T")

_pack: Final[Callable[[object], bytes]] = msgpack.Packer(autoreset=True).pack
_OPS: Final = {op.value: op for op in Op}
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}


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
    except KeyError as error:  # of our own names only, see `_member`: what a body says is never told
        raise Garbage(f"not a valid {what}: {error}, {len(body)} bytes") from None
    except (TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise Garbage(f"not a valid {what}: {type(error).__name__}, {len(body)} bytes") from None


def _text(entries: Mapping[str, Any], name: str) -> str:
    found = entries[name]
    if not isinstance(found, str):
        raise KeyError(name)
    return found


def _integer(entries: Mapping[str, Any], name: str) -> int:
    found = entries[name]
    if type(found) is not int:
        raise KeyError(name)
    return found


def _truth(entries: Mapping[str, Any], name: str) -> bool:
    found = entries[name]
    if type(found) is not bool:
        raise KeyError(name)
    return found


def _member(of: Mapping[str, T], entries: Mapping[str, Any], name: str) -> T:
    found = of.get(entries[name])
    if found is None:
        raise KeyError(name)
    return found


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def _values(found: object) -> dict[str, Value]:
    if type(found) is not dict:
        raise TypeError("fields")
    for name, value in found.items():
        kind = type(value)
        if type(name) is not str or not (
            kind in _SCALARS or (kind is tuple and all(type(item) is str for item in value))
        ):
            raise TypeError("fields")
    return found


# -- events -----------------------------------------------------------------------------------------------

_EVENT_NAMES: Final = frozenset(Event._fields) | {"v"}


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


def _event(entries: dict[str, Any], traceparent: str) -> Event:
    return Event(
        _text(entries, "id"),
        _text(entries, "system"),
        _text(entries, "entity"),
        _member(_OPS, entries, "op"),
        _text(entries, "local_id"),
        _values(entries["fields"]),
        _truth(entries, "full"),
        _integer(entries, "observed_at_ms"),
        _integer(entries, "occurred_at_ms") if entries.get("occurred_at_ms") is not None else None,
        _text(entries, "read") if "read" in entries else "",
        traceparent,
        {} if len(entries) <= 11 and entries.keys() <= _EVENT_NAMES else _unknown(entries, _EVENT_NAMES),
        dict(entries["act"]) if "act" in entries else {},
        _text(entries, "hub_id") if "hub_id" in entries else "",
    )


def decode_event(body: bytes, traceparent: str = "") -> Event:
    """The event in a message on EVENTS. Raises Garbage."""
    return _decoded("event", body, lambda entries: _event(entries, traceparent))


def _unknown(entries: Mapping[str, Any], known: Iterable[str]) -> dict[str, object]:
    names = frozenset(known)
    return {name: value for name, value in entries.items() if name not in names}


# -- changes and records ----------------------------------------------------------------------------------

_CHANGE_NAMES: Final = (frozenset(Change._fields) | frozenset(Record._fields) | {"v"}) - {"record", "extra"}


def encode_change(change: Change) -> bytes:
    """One change as it stands on CHANGES: the record, and the decision that made it.

    Fields that share an origin name it once: most of a record came in one event.
    """
    record = change.record
    # By identity: fields of one event share the very object, and hashing a tuple costs more than the rest.
    origins: dict[int, tuple[Origin, list[str]]] = {}
    for name, origin in record.origins.items():
        found = origins.get(id(origin))
        if found is None:
            origins[id(origin)] = (origin, [name])
        else:
            found[1].append(name)
    entries: dict[str, object] = {
        "v": SCHEMA,
        "key": record.key,
        "rev": record.rev,
        "entity": record.entity,
        "op": change.op,
        "deleted": record.deleted,
        "values": record.values,
        "origins": [(*origin, names) for origin, names in origins.values()],
        "links": record.links,
        "seen": _seen_entries(record.seen, tuple(record.values)),
        "changed": record.changed,
        "event_seq": record.event_seq,
        "event_id": change.event_id,
        "system": change.system,
        "outcome": change.outcome,
        "refused": change.refused,
        "decided_at_ms": change.decided_at_ms,
        "observed_at_ms": change.observed_at_ms,
    }
    if record.asked:
        entries["asked"] = record.asked
    if record.turns:
        entries["turns"] = record.turns
    if record.aliases:
        entries["aliases"] = record.aliases
    if record.into:
        entries["into"] = record.into
    if change.conflicts:
        entries["conflicts"] = [tuple(conflict) for conflict in change.conflicts]
    if record.extra:
        entries.update(record.extra)
    return _pack(entries)


def _seen_entries(seen: Mapping[str, Seen], names: tuple[str, ...]) -> dict[str, tuple[object, ...]]:
    """Short: most systems speak of all of a record's fields, and say what it has."""
    return {
        system: (each.at_ms, None if each.names == names else each.names)
        + (tuple(each[2:]) if any(each[2:]) else ())
        for system, each in seen.items()
    }


def _seen(entries: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Seen]:
    found = {}
    for system, (at_ms, spoken, *rest) in entries.items():
        said, times, since, claims, took = rest or ({}, {}, {}, {}, {})
        met = {name: Claim(*claim) for name, claim in claims.items()} if claims else {}
        found[system] = Seen(at_ms, names if spoken is None else spoken, said, times, since, met, took)
    return found


def _record(entries: dict[str, Any], seq: int) -> Record:
    origins: dict[str, Origin] = {}
    for *parts, names in entries["origins"]:
        origin = Origin(*parts)
        for name in names:
            origins[name] = origin
    values = _values(entries["values"])
    return Record(
        _text(entries, "key"),
        _text(entries, "entity"),
        _integer(entries, "rev"),
        seq,
        _truth(entries, "deleted"),
        tuple(entries["changed"]),
        _integer(entries, "event_seq"),
        values,
        origins,
        dict(entries["links"]),
        _seen(entries["seen"], tuple(values)),
        _unknown(entries, _CHANGE_NAMES) if len(entries) > 18 else {},
        dict(entries["asked"]) if "asked" in entries else {},
        dict(entries["turns"]) if "turns" in entries else {},
        dict(entries["aliases"]) if "aliases" in entries else {},
        _text(entries, "into") if "into" in entries else "",
    )


def decode_record(body: bytes, seq: int) -> Record:
    """The record in a message on CHANGES (or in the index, which keeps that body). Raises Garbage."""
    return _decoded("change", body, lambda entries: _record(entries, seq))


def decode_change(body: bytes, seq: int, traceparent: str = "") -> Change:
    """The whole change in the message with that sequence on CHANGES. Raises Garbage."""
    return _decoded(
        "change",
        body,
        lambda entries: Change(
            _record(entries, seq),
            _member(_OPS, entries, "op"),
            _text(entries, "event_id"),
            _text(entries, "system"),
            _member(_OUTCOMES, entries, "outcome"),
            tuple(entries["refused"]),
            _integer(entries, "decided_at_ms"),
            _integer(entries, "observed_at_ms"),
            traceparent,
            tuple([Conflict(*each) for each in entries["conflicts"]]) if "conflicts" in entries else (),
        ),
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
    return _decoded("seen", body, lambda entries: _seen(entries["seen"], ()))


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
