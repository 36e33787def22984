"""One event and one record in, one decision out: what is true after it.

Existence is merged like a field, with its own owner: removal and return, a deletion against an edit. The
fields are in `router.core.fields`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from bus.messages import EXISTENCE, Claim, Conflict, Event, Op, Origin, Outcome, Record, Seen, Value
from router.core.authority import owners_at
from router.core.fields import Draft, Merged
from router.core.held import NOTHING_TOLD, Told, pending
from router.core.rules import EntityRule
from router.core.saved import REPEAT, why_unchanged
from router.core.usual import news, usual_edit

_SEEN: Final = Record._fields.index("seen")
_WORST: Final = (Outcome.CONFLICT, Outcome.REFUSED, Outcome.HELD, Outcome.STALE, Outcome.ACCEPTED)


class Decision(NamedTuple):
    """What an event comes to. `record` is the record after it, changed or not (None: there is none).

    `makes_change`: the record is another one now, with the next rev, and everybody has to know. `by_field`:
    the outcomes of the fields that are not unchanged. `owed`: the system that spoke has something else, and
    is to be corrected. `contact`: fields that differ at the first contact. `reason` is for the audit: names
    only.
    """

    outcome: Outcome
    record: Record | None
    makes_change: bool
    op: Op
    changed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    reason: str = ""
    by_field: Mapping[str, Outcome] = {}
    conflicts: tuple[Conflict, ...] = ()
    contact: tuple[str, ...] = ()
    owed: bool = False


def merge(
    record: Record | None,
    event: Event,
    key: str,
    rules: EntityRule,
    event_seq: int,
    told: Told = NOTHING_TOLD,
) -> Decision:
    """Decide what becomes of a record (None: not there yet) after one event.

    A system that alone has changed a field since it last agreed with the record is heard if it has authority,
    else refused; where another has changed it too it is a conflict, and the owner rule decides. News that is
    strictly older than what the system said before is stale.

    >>> from router.core.rules import FieldRule, Type
    >>> name = FieldRule(name="name", type=Type.TEXT, owner="sis")
    >>> email = FieldRule(name="email", type=Type.TEXT, owner="idp")
    >>> rules = EntityRule(name="student", owner="sis", fields={"name": name, "email": email})
    >>> event = Event("1", "sis", "student", Op.CREATE, "7", {"name": "Ada", "email": "x"}, True, 0)
    >>> decision = merge(None, event, "student/7", rules, 1)
    >>> decision.changed, decision.contact
    (('name',), ('email',))
    """
    if event.op is Op.DELETE:
        return _removed(record, event, rules, event_seq, told)
    if record is None or record.deleted:
        return _appeared(record, event, key, rules, event_seq, told)
    return _edited(record, event, rules, event_seq, told)


# -- edits


def _edited(record: Record, event: Event, rules: EntityRule, event_seq: int, told: Told) -> Decision:
    system, values = event.system, record.values
    linked = record.links.get(system) == event.local_id or event.local_id in record.aliases.get(system, ())
    before = record.seen.get(system)
    edits = news(before, event, values) if before is not None and linked else None
    if before is not None and edits is not None:
        if not edits:
            if before.at_ms != event.observed_at_ms:
                # By position, in a third of the time of _replace: most events come to no more than this.
                seen = {**record.seen, system: Seen(event.observed_at_ms, *before[1:])}
                record = Record._make((*record[:_SEEN], seen, *record[_SEEN + 1 :]))
            return Decision(Outcome.UNCHANGED, record, False, Op.UPDATE, reason=REPEAT)
        edited = usual_edit(record, before, event, edits, rules, event_seq, told)
        if edited is not None:
            changed, outcomes = edited.changed, dict.fromkeys(edits, Outcome.ACCEPTED)
            return Decision(Outcome.ACCEPTED, edited, True, Op.UPDATE, changed, by_field=outcomes)
    merged = Draft(record, event, rules, event_seq, told, record.key).merge()
    asked = merged.asked != record.asked
    if not merged.changed and linked and not asked:
        after = record._replace(seen=merged.seen, turns=merged.turns)
        decision = _decided(merged, after, False, Op.UPDATE, rules)
        if decision.outcome is Outcome.UNCHANGED and not decision.reason:
            return decision._replace(reason=why_unchanged(before, event, values, told.given))
        return decision
    after = record._replace(
        rev=record.rev + 1,
        changed=merged.changed,
        event_seq=event_seq,
        values=merged.values,
        origins=merged.origins,
        links=record.links if linked else {**record.links, system: event.local_id},
        seen=merged.seen,
        asked={name: each for name, each in merged.asked.items() if name not in merged.changed},
        turns=merged.turns,
    )
    return _decided(merged, after, True, Op.UPDATE, rules)


def _decided(merged: Merged, after: Record, makes_change: bool, op: Op, rules: EntityRule) -> Decision:
    outcomes = merged.by_field
    if makes_change and not outcomes:
        outcome = Outcome.ACCEPTED  # a link, if nothing else
    else:
        outcome = next((each for each in _WORST if each in outcomes.values()), Outcome.UNCHANGED)
    refused = tuple([name for name, each in outcomes.items() if each is Outcome.REFUSED])
    return Decision(
        outcome,
        after,
        makes_change,
        op,
        merged.changed,
        refused,
        _why(merged, refused, rules),
        outcomes,
        merged.conflicts,
        merged.contact,
        merged.owed,
    )


def _why(merged: Merged, refused: tuple[str, ...], rules: EntityRule) -> str:
    reasons = []
    if refused:
        owners = {_owner_of(rules, name) for name in refused}
        reasons.append(f"belongs to {', '.join(sorted(owners))}")
    for conflict in merged.conflicts:
        stood = f"{conflict.winner}'s value stands" if conflict.winner else "a person is asked"
        reasons.append(f"{', '.join(conflict.fields)}: {conflict.rule}: {stood}")
    if merged.contact:
        reasons.append(f"first contact, differs in {', '.join(merged.contact)}")
    return "; ".join(reasons)


def _owner_of(rules: EntityRule, name: str) -> str:
    rule = rules.fields.get(name)
    if rule is None:
        return "nobody"
    if rule.owner:
        return rule.owner
    return " or ".join(dict.fromkeys(s for period in rule.owners for s in period.systems)) or "nobody"


# -- existence


def _appeared(
    tombstone: Record | None, event: Event, key: str, rules: EntityRule, event_seq: int, told: Told
) -> Decision:
    system = event.system
    before = tombstone.seen.get(system) if tombstone else None
    if before is not None and before.at_ms > event.observed_at_ms:
        return Decision(Outcome.STALE, tombstone, False, event.op, reason="older than what it said before")
    if system not in owners_at(rules, event.observed_at_ms, told.spans):
        return _not_theirs(tombstone, event, rules, event_seq, told)
    if tombstone is not None and not event.full and event.op is not Op.CREATE:
        reason = "it is deleted: only a full event of the owner brings it back"
        return Decision(Outcome.REFUSED, tombstone, False, event.op, reason=reason)
    empty = tombstone or Record(key, rules.name, 0, 0, True, (), 0, {}, {}, {}, {})
    # What others said of it before it was gone is no base: they were told that it is gone.
    empty = empty._replace(seen={name: Seen(seen.at_ms) for name, seen in empty.seen.items()})
    if tombstone is None and not rules.invariants:
        merged = _first(empty, event, rules, event_seq, told)
    else:
        merged = Draft(empty, event, rules, event_seq, told, empty.key).merge()
    record = Record(
        empty.key,
        empty.entity,
        empty.rev + 1,
        empty.seq,
        False,
        merged.changed,
        event_seq,
        merged.values,
        merged.origins if tombstone is None else _without_existence(merged.origins),
        {**empty.links, system: event.local_id},
        merged.seen,
        empty.extra,
        aliases=empty.aliases,
    )
    return _decided(merged, record, True, Op.CREATE, rules)


def _without_existence(origins: Mapping[str, Origin]) -> dict[str, Origin]:
    return {name: origin for name, origin in origins.items() if name != EXISTENCE}


def _first(empty: Record, event: Event, rules: EntityRule, event_seq: int, told: Told) -> Merged:
    """The fields of a record that was not there: what its system has no authority over is only noted."""
    system, at_ms = event.system, event.observed_at_ms
    values: dict[str, Value] = {}
    said: dict[str, Value] = {}
    refused: dict[str, Outcome] = {}
    for name, value in event.fields.items():
        rule = rules.fields.get(name)
        if rule is None:
            refused[name] = Outcome.REFUSED
        elif rule.owner == system or (not rule.owner and system in owners_at(rule, at_ms, told.spans)):
            values[name] = value
        elif value is not None:
            said[name] = value
    origins = dict.fromkeys(values, Origin(system, event_seq, at_ms, "owner", 1))
    since = {EXISTENCE: at_ms} if system in rules.two_way else {}
    claims = dict.fromkeys(said, Claim(event_seq, at_ms, is_open=False))
    seen = {system: Seen(at_ms, tuple(event.fields), said, {}, since, claims)}
    owed = bool(said) and system in rules.two_way
    by_field = refused if refused else {}
    return Merged(values, origins, seen, tuple(values), by_field, (), tuple(said), {}, {}, owed)


def _not_theirs(
    tombstone: Record | None, event: Event, rules: EntityRule, event_seq: int, told: Told
) -> Decision:
    """A record that its owner does not have: somebody else speaks of it."""
    reason = f"existence belongs to {_existence_owner(rules)}"
    if tombstone is None:
        return Decision(Outcome.REFUSED, None, False, event.op, reason=reason)
    before = tombstone.seen.get(event.system)
    edits = _edits(tombstone, before, event)
    # What it says of a record that is gone is no base for one that comes back.
    after = tombstone._replace(seen={**tombstone.seen, event.system: Seen(event.observed_at_ms)})
    owed = event.system in rules.two_way
    if EXISTENCE in told.given:  # it knows: what it still has of the record is switched off, and no edit
        return Decision(Outcome.UNCHANGED, after, False, event.op, reason="deleted, and it was told so")
    if before is None or not edits:  # it does not know yet that the record has gone
        return Decision(Outcome.UNCHANGED, after, False, event.op, reason="deleted", owed=owed)
    gone = tombstone.origins.get(EXISTENCE, Origin(_existence_owner(rules), tombstone.event_seq, 0, "owner"))
    conflict = Conflict(
        tombstone.key,
        (EXISTENCE, *edits),
        event.system,
        (True, *[event.fields[name] for name in edits]),
        event_seq,
        event.observed_at_ms,
        gone.system,
        (False, *[tombstone.values.get(name) for name in edits]),
        gone.event_seq,
        gone.at_ms,
        "existence",
        gone.system,
    )
    return Decision(
        Outcome.CONFLICT,
        after,
        False,
        event.op,
        reason=f"{', '.join(edits)}: edited, and {gone.system} has deleted the record: it stays deleted",
        by_field=dict.fromkeys(edits, Outcome.CONFLICT),
        conflicts=(conflict,),
        owed=owed,
    )


def _edits(record: Record, before: Seen | None, event: Event) -> tuple[str, ...]:
    """The fields in which a system says something else than it said before."""
    if before is None:
        return ()
    return tuple(
        name
        for name, value in event.fields.items()
        if name in before.names and value != before.said.get(name, record.values.get(name))
    )


def _removed(record: Record | None, event: Event, rules: EntityRule, event_seq: int, told: Told) -> Decision:
    if record is None:
        return Decision(Outcome.UNCHANGED, None, False, Op.DELETE, reason="there is no such record")
    system, at_ms = event.system, event.observed_at_ms
    before = record.seen.get(system)
    if before is not None and max(before.at_ms, *before.times.values(), 0) > at_ms:
        return Decision(Outcome.STALE, record, False, Op.DELETE, reason="older than what it said before")
    if record.deleted:
        after = record._replace(seen={**record.seen, system: Seen(at_ms)})
        return Decision(Outcome.UNCHANGED, after, False, Op.DELETE)
    if system not in owners_at(rules, at_ms, told.spans):
        seen = Seen(at_ms, said={EXISTENCE: False}, claims={EXISTENCE: Claim(event_seq, at_ms)})
        after = record._replace(seen={**record.seen, system: seen})
        owed = system in rules.two_way
        if _was_told_so(before, at_ms - rules.skews_ms.get(system, 0), told):
            reason = "it was told so, and has not heard yet that the record is back"
            return Decision(Outcome.UNCHANGED, after, False, Op.DELETE, reason=reason, owed=owed)
        reason = f"existence belongs to {_existence_owner(rules)}"
        return Decision(Outcome.REFUSED, after, False, Op.DELETE, reason=reason, owed=owed)
    edits = _edits_since(record, before, system, told)
    gone = record._replace(
        rev=record.rev + 1,
        deleted=True,
        changed=(),
        event_seq=event_seq,
        origins={**record.origins, EXISTENCE: Origin(system, event_seq, at_ms, "owner", record.rev + 1)},
        seen={**record.seen, system: Seen(at_ms)},
        asked={},
        turns={},
    )
    if not edits:
        return Decision(Outcome.ACCEPTED, gone, True, Op.DELETE)
    newest = max((record.origins[name] for name in edits), key=lambda origin: origin.event_seq)
    conflict = Conflict(
        record.key,
        (EXISTENCE, *edits),
        system,
        (False, *[None for _ in edits]),
        event_seq,
        at_ms,
        newest.system,
        (True, *[record.values.get(name) for name in edits]),
        newest.event_seq,
        newest.at_ms,
        "existence",
        system,
    )
    reason = f"{', '.join(edits)}: changed by {newest.system}, and {system} deletes the record: it is deleted"
    return Decision(
        Outcome.CONFLICT,
        gone,
        True,
        Op.DELETE,
        reason=reason,
        by_field=dict.fromkeys(edits, Outcome.CONFLICT),
        conflicts=(conflict,),
    )


def _was_told_so(before: Seen | None, at_ms: int, told: Told) -> bool:
    """A removal of a record that is back: the system has not spoken of it since, and what it was given since
    came after that time.
    """
    if before is None or before.names:
        return False
    return all(given_ms > at_ms for entries in told.given.values() for given_ms, _ in entries)


def _edits_since(record: Record, before: Seen | None, system: str, told: Told) -> tuple[str, ...]:
    """The fields that others changed and of which this system has not heard: a deletion meets an edit."""
    if before is None:
        return ()
    return tuple(
        name
        for name in before.said
        if name in record.origins
        and record.origins[name].system != system
        and record.origins[name].at_ms > before.at_ms
        and not pending(told.given, before, name)
    )


def _existence_owner(rules: EntityRule) -> str:
    if rules.owner:
        return rules.owner
    return " or ".join(dict.fromkeys(s for period in rules.owners for s in period.systems)) or "nobody"
