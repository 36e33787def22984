"""The usual events: a system that has said all the record has says so again, or other values of fields that
are its own. They come to what `router.core.fields` makes of them, in a quarter of the time.
"""

from collections.abc import Mapping

from bus.messages import Event, Fields, Origin, Record, Seen, Value
from bus.origins import Origins
from router.core.accepted import Accepted, after_change
from router.core.authority import owners_at
from router.core.held import Told
from router.core.rules import EntityRule
from router.core.voices import system_of


def news(before: Seen, event: Event, values: Mapping[str, Value]) -> Fields | None:
    """What a system says that is not the record's value; None if it has said something else before, or does
    not speak of all that it spoke of then.
    """
    if before.said or before.times or before.at_ms > event.observed_at_ms:
        return None
    if not event.full or before.names != tuple(event.fields):
        return None
    # At once, or one by one: blank, and not there at all, are the same.
    if event.fields.items() <= values.items():
        return {}
    return {name: value for name, value in event.fields.items() if values.get(name) != value}


def usual_edit(
    record: Record, before: Seen, event: Event, edits: Fields, rules: EntityRule, event_seq: int, told: Told
) -> Record | None:
    """The record with these `news`, if they are the system's to say and nobody else comes into it."""
    system, at_ms, origins = event.system, event.observed_at_ms, Origins.of(record.origins)
    if told.given or told.alias or rules.invariants or system in rules.normal:
        return None
    if record.asked or before.claims:
        return None
    for name in edits:
        rule = rules.fields.get(name)
        if rule is None or rule.group or system not in owners_at(rule, at_ms, told.spans):
            return None
        if origins.system_of(name) not in ("", system):  # it may go to and fro
            return None
    seen = dict(record.seen)
    if len(seen) > 1:
        change = Accepted(tuple(edits), tuple(edits.values()), "owner")
        heard = {voice: each for voice, each in seen.items() if not edits.keys().isdisjoint(each.names)}
        if any(each.claims for each in heard.values()):  # one may have been refused, and be right now
            return None
        seen |= {
            voice: after_change(each, change, record.values, rules.normal_of(system_of(voice)))
            for voice, each in heard.items()
        }
    since = {**before.since, **dict.fromkeys(edits, at_ms)} if system in rules.two_way else before.since
    seen[system] = Seen(at_ms, before.names, before.said, before.times, since, before.claims, before.took)
    origin = Origin(system, event_seq, at_ms, "owner", record.rev + 1)
    return Record(
        record.key,
        record.entity,
        record.rev + 1,
        record.seq,
        False,
        tuple(edits),
        event_seq,
        {**record.values, **edits},
        origins.having(edits, origin),
        record.links,
        seen,
        record.extra,
        {},
        record.turns,
        record.aliases,
        record.into,
    )
