"""One event and one record in, one decision out.

Until two-way merging comes (issue B), authority is all: the owner's value stands, a claim of any other
system is refused and kept in what that system was seen to say.
"""

from typing import NamedTuple

from bus.messages import Event, Op, Origin, Outcome, Record, Seen, Value
from router.core.rules import EntityRule


class Decision(NamedTuple):
    """What an event comes to. `record` is the record after it, changed or not (None: there is none).

    `makes_change`: the record is another one now, with the next rev, and everybody has to know. `reason` is
    for the audit: names only.
    """

    outcome: Outcome
    record: Record | None
    makes_change: bool
    op: Op
    changed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    reason: str = ""


def merge(record: Record | None, event: Event, key: str, rules: EntityRule, event_seq: int) -> Decision:
    """Decide what becomes of a record (None: not there yet) after one event.

    The owner of a field decides its value; the owner of existence creates, deletes and revives. A claim by
    another system is refused. A field that the rules do not know is refused. News that is strictly older
    than what the system said before is stale.

    >>> from router.core.rules import FieldRule, Type
    >>> email = FieldRule(name="email", type=Type.TEXT, owner="idp")
    >>> rules = EntityRule(name="student", owner="sis", fields={"email": email})
    >>> event = Event("1", "sis", "student", Op.CREATE, "7", {"email": "x"}, True, 0)
    >>> merge(None, event, "student/7", rules, 1).refused
    ('email',)
    """
    system = event.system
    before = record.seen.get(system) if record else None
    if before and before.at_ms > event.observed_at_ms:
        return Decision(Outcome.STALE, record, False, event.op, reason="older than what it said before")
    if event.op is Op.DELETE:
        return _removed(record, event, rules, event_seq)
    if record is None or record.deleted:
        return _appeared(record, event, key, rules, event_seq)
    return _edited(record, event, rules, event_seq)


def _removed(record: Record | None, event: Event, rules: EntityRule, event_seq: int) -> Decision:
    if record is None:
        return Decision(Outcome.UNCHANGED, None, False, Op.DELETE, reason="there is no such record")
    if record.deleted:
        return Decision(Outcome.UNCHANGED, _saw(record, event, {}), False, Op.DELETE)
    if event.system != rules.owner:
        reason = f"existence belongs to {rules.owner}"
        return Decision(Outcome.REFUSED, _saw(record, event, {}), False, Op.DELETE, reason=reason)
    gone = record._replace(
        rev=record.rev + 1,
        deleted=True,
        changed=(),
        event_seq=event_seq,
        seen={**record.seen, event.system: Seen(event.observed_at_ms, {})},
    )
    return Decision(Outcome.ACCEPTED, gone, True, Op.DELETE)


def _appeared(
    tombstone: Record | None, event: Event, key: str, rules: EntityRule, event_seq: int
) -> Decision:
    if event.system != rules.owner:
        reason = f"existence belongs to {rules.owner}"
        if tombstone is not None:
            tombstone = _saw(tombstone, event, {})
        return Decision(Outcome.REFUSED, tombstone, False, event.op, reason=reason)
    empty = tombstone or Record(key, rules.name, 0, 0, True, (), 0, {}, {}, {}, {})
    values, origins, changed, refused = _fields(empty, event, rules, event_seq)
    record = Record(
        empty.key,
        empty.entity,
        empty.rev + 1,
        empty.seq,
        False,
        changed,
        event_seq,
        values,
        origins,
        {**empty.links, event.system: event.local_id},
        {**empty.seen, event.system: Seen(event.observed_at_ms, refused)},
        empty.extra,
    )
    outcome = Outcome.REFUSED if refused else Outcome.ACCEPTED
    return Decision(outcome, record, True, Op.CREATE, changed, tuple(refused), _why(refused, rules))


def _edited(record: Record, event: Event, rules: EntityRule, event_seq: int) -> Decision:
    values, origins, changed, refused = _fields(record, event, rules, event_seq)
    linked = record.links.get(event.system) == event.local_id
    if not changed and linked:
        outcome = Outcome.REFUSED if refused else Outcome.UNCHANGED
        return Decision(
            outcome, _saw(record, event, refused), False, Op.UPDATE, (), tuple(refused), _why(refused, rules)
        )
    after = record._replace(
        rev=record.rev + 1,
        changed=changed,
        event_seq=event_seq,
        values=values,
        origins=origins,
        links=record.links if linked else {**record.links, event.system: event.local_id},
        seen={**record.seen, event.system: Seen(event.observed_at_ms, refused)},
    )
    outcome = Outcome.REFUSED if refused else Outcome.ACCEPTED
    return Decision(outcome, after, True, Op.UPDATE, changed, tuple(refused), _why(refused, rules))


def _fields(
    record: Record, event: Event, rules: EntityRule, event_seq: int
) -> tuple[dict[str, Value], dict[str, Origin], tuple[str, ...], dict[str, Value]]:
    """(values, origins, names that changed, claims refused) after the fields of an event."""
    system, fields = event.system, rules.fields
    old = record.values
    accepted: dict[str, Value] = {}
    refused: dict[str, Value] = {}
    for name, value in event.fields.items():
        before = old.get(name)
        if value == before and (value is not None or name in old):
            continue
        rule = fields.get(name)
        if rule is not None and rule.owner == system:
            accepted[name] = value
        elif value != before:
            refused[name] = value
    if not accepted:
        return old, record.origins, (), refused
    origin = Origin(system, event_seq, event.observed_at_ms, "owner")
    return (
        {**old, **accepted},
        {**record.origins, **dict.fromkeys(accepted, origin)},
        tuple(accepted),
        refused,
    )


def _saw(record: Record, event: Event, refused: dict[str, Value]) -> Record:
    return record._replace(seen={**record.seen, event.system: Seen(event.observed_at_ms, refused)})


def _why(refused: dict[str, Value], rules: EntityRule) -> str:
    if not refused:
        return ""
    owners = {rules.fields[name].owner if name in rules.fields else "nobody" for name in refused}
    return f"belongs to {', '.join(sorted(owners))}"
