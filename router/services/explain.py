"""`explain`: why each field of a record has its value, and what each system has of it."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from bus import subjects
from bus.codec import decode_change, decode_conflict
from bus.errors import BusError, Garbage
from bus.messages import EXISTENCE, Record
from bus.services import Command
from router.core.authority import Spans, owners_at
from router.core.held import UNKNOWN, known, not_taken_up
from router.core.joining import HUB
from router.core.rules import EntityRule
from router.pipeline import Pipeline
from router.services.acts import known_entity, record_of
from router.services.asking import asked, reply
from router.spans import Spanning

HITS_MAX: Final = 20


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `explain`."""

    async def explained(operator: str, request: bytes) -> bytes:
        says = asked(request)
        hits = keys_of(pipeline, str(says.get("record", "")))
        if len(hits) != 1:
            return reply({"timezone": pipeline.district.timezone, "hits": hits})
        at_ms = int(says.get("at_ms", 0))
        record = await _as_of(pipeline, hits[0], at_ms) if at_ms else record_of(pipeline, hits[0])
        found = _explained(pipeline, record, at_ms or now_ms(), now=not at_ms)
        return reply({"timezone": pipeline.district.timezone, "hits": hits, **found})

    return [
        Command(what="explain", answer=explained, description="A record: why it is as it is, who has what")
    ]


def keys_of(pipeline: Pipeline, name: str) -> list[str]:
    """The records that a name means: `entity/key`, `system:local_id`, or the value of a field that may be
    searched. Raises BusError when there is none.
    """
    system, colon, local_id = name.partition(":")
    if colon and system in pipeline.district.systems:
        names = [(system, entity, local_id) for entity in pipeline.district.entities]
        hits = sorted(set(pipeline.store.links(names).values()))
    elif "/" in name:
        known_entity(pipeline, name)
        hits = [record_of(pipeline, name).key] if pipeline.store.records([name]) else []
    else:
        hits = _searched(pipeline, name)
    if not hits:
        raise BusError(
            f"{name}: no record has that name (expected entity/id as in student/1001, system:id as in"
            " sis:1001, or the value of a field with search: true)"
        )
    return hits


def _searched(pipeline: Pipeline, text: str) -> list[str]:
    """Records that are recognised by one field of that value: the fields with a match rule of their own."""
    found: set[str] = set()
    for entity, rules in pipeline.district.entities.items():
        number = 1 if rules.identity else 0
        for index, names in enumerate(rules.match):
            if len(names) == 1 and rules.fields[names[0]].search:
                token = pipeline.tokens(f"{entity}/{index + number}:{text.strip().casefold()}")
                found.update(str(key) for (key,) in pipeline.store.read("matching", token))
    return sorted(found)[:HITS_MAX]


async def _as_of(pipeline: Pipeline, key: str, at_ms: int) -> Record:
    """The record as it was decided by then, from what CHANGES has kept of it (the newest 64 changes)."""
    subject = subjects.change(known_entity(pipeline, key), pipeline.tokens(key))
    found: Record | None = None
    oldest_ms = 0
    async for page in pipeline.bus.read(subjects.CHANGES, subject=subject):
        for stored in page:
            try:
                change = decode_change(stored.body, stored.seq)
            except Garbage:
                continue
            oldest_ms = oldest_ms or change.decided_at_ms
            if change.decided_at_ms <= at_ms:
                found = change.record
    if found is None:
        raise BusError(
            f"{key}: nothing is kept of it from that time (the oldest change kept is of {oldest_ms} ms)"
            if oldest_ms
            else f"{key}: there is no such record"
        )
    return found


def _explained(pipeline: Pipeline, record: Record, at_ms: int, *, now: bool) -> Mapping[str, Any]:
    rules = pipeline.district.entities[record.entity]
    conflicts = [
        (id_, at, state, decode_conflict(body)[0])
        for id_, _, at, state, body in pipeline.store.read("conflicts", "", record.key, 200, 0)
    ]
    district = pipeline.district
    spanning = Spanning(district.entities, ZoneInfo(district.timezone))
    spans = spanning.of(record.entity, record.values, lambda keys: pipeline.store.records(list(keys)))
    last: dict[str, dict[str, Any]] = {}
    for id_, conflict_ms, state, conflict in reversed(conflicts):
        for name in conflict.fields:
            last[name] = {"id": id_, "at_ms": conflict_ms, "state": state, "winner": conflict.winner}
    return {
        "at_ms": at_ms,
        "key": record.key,
        "entity": record.entity,
        "rev": record.rev,
        "deleted": record.deleted,
        "one_with": list(record.aliases.get(HUB, ())),
        "existence": last.get(EXISTENCE),
        "fields": {
            name: _field(record, rules, name, at_ms, spans) | {"conflict": last.get(name)}
            for name in rules.fields
        },
        "systems": _systems(pipeline, record) if now else {},
    }


def _field(record: Record, rules: EntityRule, name: str, at_ms: int, spans: Spans) -> dict[str, Any]:
    origin = record.origins.get(name)
    claims = {
        system: {
            "value": seen.said.get(name),
            "at_ms": seen.claims[name].at_ms,
            "event": seen.claims[name].event_seq,
        }
        for system, seen in record.seen.items()
        if name in seen.claims and seen.claims[name].is_open
    }
    return {
        "value": record.values.get(name),
        "owners": list(owners_at(rules.fields[name], at_ms, spans)),
        "source": origin.system if origin else "",
        "event": origin.event_seq if origin else 0,
        "at_ms": origin.at_ms if origin else 0,
        "rev": origin.rev if origin else 0,
        "rule": origin.rule if origin else "",
        "claims": claims,
        "asked": list(record.asked.get(name, ())),
    }


def _systems(pipeline: Pipeline, record: Record) -> dict[str, Any]:
    """Each system's id of the record, what it holds and since when, what it waits for."""
    found: dict[str, dict[str, Any]] = {}
    for system, rule in pipeline.district.systems.items():
        entry: dict[str, Any] = {"local_id": record.links.get(system, "")}
        if aliases := record.aliases.get(system):
            entry["aliases"] = list(aliases)
        if seen := record.seen.get(system):
            entry["last_said_ms"] = seen.at_ms
        if rule.destination and record.entity in rule.destination.entities:
            entry |= _held(pipeline, record, system)
        if len(entry) > 1 or entry["local_id"]:
            found[system] = entry
    return found


def _held(pipeline: Pipeline, record: Record, system: str) -> dict[str, Any]:
    rows = pipeline.store.read("ledger_of", system, record.key)
    work = pipeline.store.read("work_of", system, record.key)
    entry: dict[str, Any] = {"holds_rev": 0, "is_there": False}
    if rows:
        rev, hash_, local_id, since_ms = rows[0]
        entry = {"holds_rev": rev, "is_there": bool(hash_), "own_id": local_id, "holds_since_ms": since_ms}
    if work:
        since_ms, attempt, not_before_ms, reason, awaits, waits_ms = work[0]
        since_ms = waits_ms if awaits else since_ms
        entry["waits"] = {
            "since_ms": since_ms,
            "attempt": attempt,
            "due_ms": not_before_ms,
            "reason": reason,
            "for": awaits,
        }
    if failed := pipeline.store.read("failure_of", system, record.key):
        rev, at_ms, attempts, reason = failed[0]
        entry["failed"] = {"rev": rev, "at_ms": at_ms, "attempts": attempts, "reason": reason}
    given = pipeline.store.given(system, [record.key]).get(record.key, {})
    entry["differs"] = sorted(
        name
        for name in given
        if name != EXISTENCE
        and (has := known(record, system, given, name)) is not UNKNOWN
        and has != record.values.get(name)
    )
    rules = pipeline.district.entities[record.entity]
    entry["not_taken_up"] = not_taken_up(record, system, given, rules)
    entry["takes_up_within_s"] = rules.lags_s.get(system, 0)
    return entry
