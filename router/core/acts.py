"""Events that no system says: a date has come, and a person has picked what is right."""

from collections.abc import Mapping

from bus.messages import Event, Op, Origin, Outcome, Record, Value
from router.core.accepted import Accepted, after_change, holds
from router.core.authority import Spans, owners_at
from router.core.merge import Decision
from router.core.rules import EntityRule
from router.core.voices import system_of

PICKED = "picked"
LOOK_AGAIN = "look again: it has changed since"
BROKEN = "it would break what must hold:"


def decide_date(
    record: Record | None, event: Event, rules: EntityRule, event_seq: int, spans: Spans
) -> Decision:
    """A system that has authority from now on gets what it has claimed since it was refused."""
    if record is None or record.deleted:
        return Decision(Outcome.UNCHANGED, record, False, Op.DATE)
    at_ms, after = event.observed_at_ms, record
    changed: list[str] = []
    for system, seen in record.seen.items():
        for name, claim in seen.claims.items():
            rule = rules.fields.get(name)
            if rule is None or rule.owner or not claim.is_open or name in changed:
                continue
            if system_of(system) not in owners_at(rule, at_ms, spans):
                continue
            unit = rule.group or (name,)
            values = tuple([seen.said.get(each, record.values.get(each)) for each in unit])
            origin = Origin(system_of(system), event_seq, at_ms, "owner", record.rev + 1)
            after = _with(after, Accepted(unit, values, "owner"), origin, rules)
            changed += unit
    if not changed:
        return Decision(Outcome.UNCHANGED, record, False, Op.DATE)
    return _decided(after, record, changed, event_seq, Op.DATE)


def decide_pick(record: Record | None, event: Event, rules: EntityRule, event_seq: int) -> Decision:
    """What a person picks stands. `act.looked_at` is the rev that the person saw: if a picked field has got
    another value since, the answer is "look again".

    >>> from router.core.rules import FieldRule, Type
    >>> rules = EntityRule(name="x", owner="a", fields={"f": FieldRule(name="f", type=Type.TEXT, owner="a")})
    >>> record = Record("x/1", "x", 3, 9, False, (), 1, {"f": "old"}, {}, {}, {}, asked={"f": ("a", "b")})
    >>> act = {"looked_at": 3, "who": "kim", "why": "asked them"}
    >>> event = Event("1", "operator", "x", Op.PICK, "", {"f": "new"}, False, 0, act=act)
    >>> after = decide_pick(record, event, rules, 12).record
    >>> after.values, after.origins["f"].rule, dict(after.asked)
    ({'f': 'new'}, 'picked', {})
    """
    if record is None or record.deleted:
        return Decision(Outcome.REFUSED, record, False, Op.PICK, reason="there is no such record")
    fields = event.fields
    looked_at = event.act.get("looked_at")
    unknown = [name for name in fields if name not in rules.fields]
    if unknown or not fields:
        reason = f"no such field: {', '.join(unknown)}" if unknown else "nothing was picked"
        return Decision(Outcome.REFUSED, record, False, Op.PICK, refused=tuple(fields), reason=reason)
    newest = max((record.origins[name].rev for name in fields if name in record.origins), default=0)
    if not isinstance(looked_at, int) or newest > looked_at:
        return Decision(Outcome.REFUSED, record, False, Op.PICK, refused=tuple(fields), reason=LOOK_AGAIN)
    stands = {**record.values, **fields}
    broken = [each.text for each in rules.invariants if not holds(each, stands)]
    if broken:
        reason = f"{BROKEN} {'; '.join(broken)}"
        return Decision(Outcome.REFUSED, record, False, Op.PICK, refused=tuple(fields), reason=reason)
    origin = Origin(event.system, event_seq, event.observed_at_ms, PICKED, record.rev + 1)
    after = _with(record, Accepted(tuple(fields), tuple(fields.values()), PICKED), origin, rules)
    asked = {name: systems for name, systems in record.asked.items() if name not in fields}
    changed = [name for name, value in fields.items() if record.values.get(name) != value]
    return _decided(after._replace(asked=asked), record, changed, event_seq, Op.PICK)


def whole_groups(fields: Mapping[str, Value], record: Record, rules: EntityRule) -> dict[str, Value]:
    """The fields with the other members of their groups, as these stand: a group moves as one."""
    found = dict(fields)
    for name in fields:
        group = rules.fields[name].group if name in rules.fields else ()
        found.update({each: record.values.get(each) for each in group if each not in found})
    return found


def _with(record: Record, accepted: Accepted, origin: Origin, rules: EntityRule) -> Record:
    values: dict[str, Value] = {**record.values, **dict(zip(accepted.unit, accepted.values, strict=True))}
    return record._replace(
        values=values,
        origins={**record.origins, **dict.fromkeys(accepted.unit, origin)},
        seen={
            voice: after_change(seen, accepted, record.values, rules.normal_of(system_of(voice)))
            for voice, seen in record.seen.items()
        },
    )


def _decided(after: Record, before: Record, changed: list[str], event_seq: int, op: Op) -> Decision:
    names = tuple(changed)
    after = after._replace(rev=before.rev + 1, changed=names, event_seq=event_seq)
    return Decision(Outcome.ACCEPTED, after, True, op, names)
