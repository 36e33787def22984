"""Two records turn out to be one, and are taken apart again.

A merge is decided in two steps, each of them an event about one record: first the one that stays takes up the
other's ids, then the other leaves. So at no time do events of an id find a record that has gone. A split goes
the other way round. What refers to the one that left is re-pointed by an event of its own.
"""

from collections.abc import Mapping
from typing import Final

from bus.messages import Claim, Event, Op, Origin, Outcome, Record, Seen, Value
from router.core.identity import references
from router.core.merge import Decision
from router.core.rules import EntityRule
from router.core.voices import ids_of, system_of, voice_of, with_ids

JOINING: Final = frozenset({Op.MERGE, Op.SPLIT, Op.FOLLOW})
HUB: Final = "yellowbus"
"""As whose ids a record lists the keys of those that were made one with it."""
MERGED: Final = "merged"
"""The rule of a value that came along with a merge; `merged <key>` of a reference that named that key."""
LEAVES: Final = "leaves"
LETS_GO: Final = "lets go"
REFERS: Final = "refers"
HEALS: Final = "heals"
"""What follows for another record: it leaves, it stayed and lets go, it refers to one of them, or to
something that was not there yet."""

NOBODY: Final = Origin("", 0, 0, "")

Ids = Mapping[str, tuple[str, ...]]
"""By system the ids under which the crosswalk knows a record."""


def decide_joining(
    record: Record | None,
    other: Record | None,
    event: Event,
    rules: EntityRule,
    event_seq: int,
    known: tuple[Ids, Ids] = ({}, {}),
) -> Decision:
    """Decide a merge, a split, or what follows of one. `record` is what the event is about, `other` the
    second record that it names. `known`: what the crosswalk knows of both.

    `act.looked_at` and `act.other_looked_at` are the revs that the person saw.
    """
    if record is None or other is None:
        return _refused(record, event, "there is no such record")
    if event.op is Op.FOLLOW:
        return _follows(record, other, event, rules, event_seq)
    if (event.act.get("looked_at"), event.act.get("other_looked_at")) != (record.rev, other.rev):
        return _refused(record, event, "look again: it has changed since")
    if event.op is Op.MERGE:
        if why := _no_merge(record, other):
            return _refused(record, event, why)
        after = absorbed(_completed(record, known[0]), _completed(other, known[1]))
        return _changed(after, record, event, event_seq)
    if record.into != other.key or other.into:
        return _refused(record, event, f"it is not one with {other.key} now")
    return _changed(revived(record, other, rules), record, event, event_seq)


def _no_merge(record: Record, other: Record) -> str:
    if record.key == other.key or record.entity != other.entity:
        return "two records of one entity are needed"
    if record.deleted or record.into:
        return "the record that is to stay is deleted"
    return f"{other.key} is one with {other.into} already" if other.into else ""


def _completed(record: Record, known: Ids) -> Record:
    """With the ids that systems gave it and by which they did not speak of it yet."""
    for system, local_ids in known.items():
        ids = ids_of(record, system)
        more = tuple([each for each in local_ids if each not in ids])
        if more:
            record = with_ids(record, system, ids + more)
    return record


def absorbed(record: Record, other: Record) -> Record:
    """The record that stays, with all ids of the other. Its values stand; where it has none, the other's come
    along. What the other's ids say they say on, each for itself.

    >>> record = Record("x/1", "x", 1, 1, False, (), 1, {"f": "a", "g": None}, {}, {"sis": "1"}, {})
    >>> other = Record("x/2", "x", 1, 2, False, (), 2, {"f": "b", "g": "c"}, {}, {"sis": "2", "idp": "u"}, {})
    >>> after = absorbed(record, other)
    >>> after.values, after.links, after.aliases["sis"]
    ({'f': 'a', 'g': 'c'}, {'sis': '1', 'idp': 'u'}, ('2',))
    """
    along = {
        name: value
        for name, value in other.values.items()
        if value is not None and record.values.get(name) is None
    }
    after = _valued(record, along)
    origins = dict(after.origins)
    for name in along:
        origin = other.origins.get(name, NOBODY)
        origins[name] = origin._replace(rule=MERGED, rev=record.rev + 1)
    after = after._replace(origins=origins, changed=tuple(along))
    seen = dict(after.seen)
    for system in _systems(other):
        ids, more = ids_of(after, system), ids_of(other, system)
        for local_id in more:
            voice = voice_of(system, local_id)
            said = other.seen.get(system if local_id == more[0] else voice)
            if said is not None:
                new = system if not ids and local_id == more[0] else voice
                seen[new] = _in_terms_of(said, other.values, after.values)
        after = with_ids(after, system, ids + tuple([each for each in more if each not in ids]))
    keys = (*after.aliases.get(HUB, ()), *other.aliases.get(HUB, ()), other.key)
    return after._replace(seen=seen, aliases={**after.aliases, HUB: keys})


def left(record: Record, into: str) -> Record:
    """The other one: a tombstone that says with which record it is one. Values and ids stay, for a split."""
    return record._replace(deleted=True, into=into, changed=(), asked={}, turns={})


def revived(record: Record, other: Record, rules: EntityRule) -> Record:
    """The one that left, as it was, with what its ids have said since. It stays deleted if none of its
    owner's ids speaks of it any more.
    """
    values = dict(record.values)
    said: dict[str, Seen] = {}
    for system in _systems(record):
        main, *_ = ids = ids_of(record, system)
        for local_id in ids:
            by_main = other.links.get(system) == local_id
            found = other.seen.get(system if by_main else voice_of(system, local_id))
            if found is not None:
                said[system if local_id == main else voice_of(system, local_id)] = found
    for system, each in said.items():
        for name in each.names:
            if record.origins.get(name, NOBODY).system == system:  # the main id's word
                values[name] = each.said.get(name, other.values.get(name))
    seen = {voice: _in_terms_of(each, other.values, values) for voice, each in said.items()}
    changed = tuple([name for name in values if values[name] != record.values.get(name)])
    after = record._replace(into="", values=values, seen=seen, changed=changed)
    return after._replace(deleted=not _is_said(after, rules))


def let_go(record: Record, other: Record, rules: EntityRule) -> Record:
    """The one that stayed, without the ids of the other, and without what only these brought."""
    after, seen = record, dict(record.seen)
    for system in _systems(other):
        before, gone = ids_of(after, system), ids_of(other, system)
        kept = tuple([each for each in before if each not in gone])
        for local_id in gone:
            seen.pop(voice_of(system, local_id), None)
        if before and before[0] in gone:
            seen.pop(system, None)
            if kept and (said := seen.pop(voice_of(system, kept[0]), None)):
                seen[system] = said
        after = with_ids(after, system, kept)
    lost = {system for system in _systems(other) if not ids_of(after, system)}
    along: dict[str, Value] = {
        name: None
        for name, origin in record.origins.items()
        if record.values.get(name) is not None
        and (origin.system in lost or (origin.rule == MERGED and _from(other, name, origin)))
    }
    after = _valued(after._replace(seen=seen), along)
    keys = {other.key, *other.aliases.get(HUB, ())}
    kept = tuple([each for each in record.aliases.get(HUB, ()) if each not in keys])
    aliases = {name: each for name, each in after.aliases.items() if name != HUB}
    after = after._replace(aliases={**aliases, HUB: kept} if kept else aliases, changed=tuple(along))
    return after._replace(deleted=record.deleted or not _is_said(after, rules))


def _from(other: Record, name: str, origin: Origin) -> bool:
    mine = other.origins.get(name, NOBODY)
    return (mine.system, mine.event_seq) == (origin.system, origin.event_seq)


def _is_said(record: Record, rules: EntityRule) -> bool:
    """Does an owner of existence speak of it?"""
    owners = {rules.owner} if rules.owner else {name for each in rules.owners for name in each.systems}
    return any(seen.names for voice, seen in record.seen.items() if system_of(voice) in owners)


def _systems(record: Record) -> list[str]:
    return [system for system in {**record.links, **record.aliases} if system != HUB]


def _follows(record: Record, other: Record, event: Event, rules: EntityRule, event_seq: int) -> Decision:
    what = event.act.get("what")
    after = record
    if what == LEAVES and not record.into and record.key in other.aliases.get(HUB, ()):
        after = left(_completed(record, _ids_in(event)), other.key)
    elif what == LETS_GO and other.key in record.aliases.get(HUB, ()):
        after = let_go(record, other, rules)
    elif what == REFERS:
        since = str(event.act.get("since", ""))
        found = referring(record, str(event.act.get("from", "")), other.key, rules, since)
        after = found if found.changed else record
    elif what == HEALS and not record.deleted and not other.into:
        found = referring(record, str(event.act.get("from", "")), other.key, rules, to=other.entity)
        after = found if found.changed else record
    if after is not record:
        return _changed(after, record, event, event_seq)
    return Decision(Outcome.UNCHANGED, record, False, Op.UPDATE)


def _ids_in(event: Event) -> Ids:
    ids = event.act.get("ids", {})
    found = ids.items() if isinstance(ids, Mapping) else ()
    return {str(system): tuple(map(str, local_ids)) for system, local_ids in found}


def referring(record: Record, old: str, new: str, rules: EntityRule, since: str = "", to: str = "") -> Record:
    """The record with one key in place of the other in its references; `changed` names them. `since`: only
    where the old one came of a merge with that key. `to`: only where one of that entity may stand, and the
    old one stood for it.
    """
    changed: dict[str, Value] = {}
    for name, _, entities in references(rules):
        value = record.values.get(name)
        if _names(value, old) and _is_since(record, name, since) and (not to or to in entities):
            changed[name] = _instead(value, old, new)
    values = {**record.values, **changed}
    seen = {
        voice: each._replace(
            said={
                name: said
                for name, value in each.said.items()
                if (said := _instead(value, old, new) if name in changed else value) != values.get(name)
                or name not in changed
            }
        )
        for voice, each in record.seen.items()
    }
    origins = dict(record.origins)
    for name in changed:
        before = origins.get(name, NOBODY)
        rule = before.rule if to else "owner" if since else f"{MERGED} {old}"
        origins[name] = before._replace(rule=rule, rev=record.rev + 1)
    return record._replace(values=values, origins=origins, seen=seen, changed=tuple(changed))


def refers(record: Record, key: str, rules: EntityRule, *, since: str = "") -> bool:
    """Does it refer to that record? `since`: only where that came of a merge with this key."""
    return any(
        _names(record.values.get(name), key) and _is_since(record, name, since)
        for name, _, _ in references(rules)
    )


def _is_since(record: Record, name: str, since: str) -> bool:
    return not since or record.origins.get(name, NOBODY).rule == f"{MERGED} {since}"


def _names(value: Value, key: str) -> bool:
    return value == key or (isinstance(value, tuple) and key in value)


def _instead(value: Value, old: str, new: str) -> Value:
    if isinstance(value, tuple):
        return tuple(dict.fromkeys([new if each == old else each for each in value]))
    return new if value == old else value


def _valued(record: Record, values: Mapping[str, Value]) -> Record:
    """The record with other values; what systems said of it stays what they said."""
    if not values:
        return record
    after = {**record.values, **values}
    seen = {voice: _in_terms_of(said, record.values, after) for voice, said in record.seen.items()}
    return record._replace(values=after, seen=seen)


def _in_terms_of(seen: Seen, before: Mapping[str, Value], after: Mapping[str, Value]) -> Seen:
    """What was said, where it is not what the record has now. A claim met a value that stood: it is over."""
    said = {name: seen.said.get(name, before.get(name)) for name in seen.names}
    said = {name: value for name, value in said.items() if value != after.get(name)}
    claims: dict[str, Claim] = {
        name: claim
        for name, claim in seen.claims.items()
        if name in said and before.get(name) == after.get(name)
    }
    return seen._replace(said=said, claims=claims)


def _changed(after: Record, before: Record, event: Event, event_seq: int) -> Decision:
    op = Op.DELETE if after.deleted else Op.CREATE if before.deleted else Op.UPDATE
    after = after._replace(rev=before.rev + 1, event_seq=event_seq)
    other = event.act.get("other", "")
    reason = f"{event.op} with {other}" if event.op is not Op.FOLLOW else f"{event.act.get('what')}: {other}"
    return Decision(Outcome.ACCEPTED, after, True, op, after.changed, reason=reason)


def _refused(record: Record | None, event: Event, why: str) -> Decision:
    return Decision(Outcome.REFUSED, record, False, event.op, reason=why)
