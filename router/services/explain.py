"""`explain`: why each field of a record has its value, and what each system has of it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from bus import subjects
from bus.codec import decode_change, decode_conflict
from bus.errors import BusError, Garbage
from bus.messages import EXISTENCE, Record
from bus.services import Command
from router.core.authority import Spans, owners_at
from router.core.held import UNKNOWN, known, not_taken_up
from router.core.identity import search_text
from router.core.joining import HUB
from router.core.rules import EntityRule
from router.delivery.standing import Row, state_of
from router.pipeline import Pipeline
from router.services.acts import known_entity, record_of
from router.services.asking import asked, reply
from router.spans import Spanning

HITS_MAX: Final = 20
CONFLICTS_MAX: Final = 10_000


def commands(pipeline: Pipeline, now_ms: Callable[[], int]) -> list[Command]:
    """What answers `explain`."""

    async def explained(operator: str, request: bytes) -> bytes:
        says = asked(request)
        hits = keys_of(pipeline, str(says.get("record", "")))
        if len(hits) != 1:
            return reply({"timezone": pipeline.district.timezone, "hits": hits})
        at_ms = _instant_ms(pipeline, str(says.get("at", "")))
        record = await _as_of(pipeline, hits[0], at_ms) if at_ms else record_of(pipeline, hits[0])
        spans, unknown = await _spans(pipeline, record, at_ms)
        found = _explained(pipeline, record, at_ms or now_ms(), spans, now=not at_ms)
        found = {**found, "terms_unknown": unknown}
        return reply({"timezone": pipeline.district.timezone, "hits": hits, **found})

    return [
        Command(what="explain", answer=explained, description="A record: why it is as it is, who has what")
    ]


def _instant_ms(pipeline: Pipeline, text: str) -> int:
    """A time as a person writes it, the district's if it has no zone; 0: none. Raises BusError."""
    if not text:
        return 0
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BusError(f"at: {text!r} is no time (expected ISO, as in 2026-11-20T02:00)") from None
    return int((at if at.tzinfo else at.replace(tzinfo=_zone(pipeline))).timestamp() * 1000)


def _zone(pipeline: Pipeline) -> ZoneInfo:
    return ZoneInfo(pipeline.district.timezone)


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
    """Records that have that value in a field with `search`."""
    tokens = [
        pipeline.tokens(f"{entity}/{search_text(name, text)}")
        for entity, rules in pipeline.district.entities.items()
        for name, rule in rules.fields.items()
        if rule.search
    ]
    found = {str(key) for token in tokens for (key,) in pipeline.store.read("matching", token)}
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
            f"{key}: nothing is kept of it from that time: the oldest change kept is of"
            f" {datetime.fromtimestamp(oldest_ms / 1000, _zone(pipeline)).isoformat(' ', 'seconds')}"
            if oldest_ms
            else f"{key}: there is no such record"
        )
    return found


async def _spans(pipeline: Pipeline, record: Record, at_ms: int) -> tuple[Spans, list[str]]:
    """The terms that a record's owners depend on: as they are, or as they were then (0: now); and those of
    which nothing is kept from that time, so that an owner during them is not known.
    """
    district = pipeline.district
    spanning = Spanning(district.entities, ZoneInfo(district.timezone))
    if not at_ms:
        now = spanning.of(record.entity, record.values, lambda keys: pipeline.store.records(list(keys)))
        return now, []
    then = _Then()
    while True:
        spans = spanning.of(record.entity, record.values, then.look)
        if not then.missing:
            return spans, sorted(then.asked - then.known.keys())
        for key in then.missing:
            with suppress(BusError):
                then.known[key] = await _as_of(pipeline, key, at_ms)
        then.asked |= then.missing
        then.missing = set()


class _Then:
    """Records as they were, those that have been fetched; `missing`: those that were asked for besides."""

    def __init__(self) -> None:
        self.known: dict[str, Record] = {}
        self.asked: set[str] = set()
        self.missing: set[str] = set()

    def look(self, keys: Iterable[str]) -> dict[str, Record]:
        wanted = set(keys)
        self.missing |= wanted - self.asked
        return {key: self.known[key] for key in wanted if key in self.known}


def _explained(
    pipeline: Pipeline, record: Record, at_ms: int, spans: Spans, *, now: bool
) -> Mapping[str, Any]:
    rules = pipeline.district.entities[record.entity]
    conflicts = [
        (id_, at, state, decode_conflict(body)[0])
        for id_, _, at, state, body in pipeline.store.read("conflicts", "", record.key, CONFLICTS_MAX, 0)
        if at <= at_ms
    ]
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
        "claims_of_then": now,  # a claim that made no change is nowhere as of then
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
        row = Row(*work[0])
        state = state_of(pipeline.workers[system], record.key, row, pipeline.world.now_ms())
        entry["waits"] = {
            **state._asdict(),
            "attempt": row.attempt,
            "due_ms": row.not_before_ms,
            "reason": row.reason,
            "for": row.awaits,
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
