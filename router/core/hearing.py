"""Under which of a record's ids does an event come? Then it is merged, as that one's news.

The main id of a system is merged as it is. `router.core.voices` says what an alias is.
"""

from bus.messages import Event, Op, Origin, Outcome, Record, Seen
from router.core.accepted import Accepted, after_change
from router.core.authority import owners_at
from router.core.held import NOTHING_TOLD, Told
from router.core.merge import Decision, merge
from router.core.rules import EntityRule
from router.core.voices import SILENT, led_by, speaking, system_of, voice_of


def hear(
    record: Record | None,
    event: Event,
    key: str,
    rules: EntityRule,
    event_seq: int,
    told: Told = NOTHING_TOLD,
) -> Decision:
    """Merge an event, whichever id of the record it comes under.

    An id that the record does not list yet becomes the system's main one: a membership that got another id.
    A record is removed when the last id that has it goes; until then the next one speaks for the system.
    """
    if record is None:
        return merge(record, event, key, rules, event_seq, told)
    system, local_id = event.system, event.local_id
    main = record.links.get(system)
    if main is not None and main != local_id:
        is_new = local_id not in record.aliases.get(system, ()) or event.act.get("was") == main
        if record.deleted or is_new:
            return _comes_first(record, event, rules, event_seq, told)
        return _alias(record, event, main, rules, event_seq, told)
    goes = event.op is Op.DELETE and record.aliases and not record.deleted
    if goes and (heir := speaking(record, system, local_id)):
        return _passed_on(record, event, heir, rules, event_seq, told)
    return merge(record, event, key, rules, event_seq, told)


def _comes_first(record: Record, event: Event, rules: EntityRule, event_seq: int, told: Told) -> Decision:
    """An id that is not listed, or one under which a deleted record comes back."""
    if event.op is Op.DELETE:
        reason = "" if record.deleted else "the record has another id there"
        return Decision(Outcome.UNCHANGED, record, False, Op.DELETE, reason=reason)
    led = led_by(record, event.system, event.local_id)
    if event.act.get("was") == record.links.get(event.system):
        # The system has given it another id: what it said under the old one, it has said.
        voice = voice_of(event.system, event.local_id)
        led = led._replace(seen={name: said for name, said in record.seen.items() if name != voice})
    links = {name: each for name, each in led.links.items() if name != event.system}
    decision = merge(led._replace(links=links), event, record.key, rules, event_seq, told)
    return decision if decision.makes_change else decision._replace(record=record)


def _alias(
    record: Record, event: Event, main: str, rules: EntityRule, event_seq: int, told: Told
) -> Decision:
    if event.op is Op.DELETE:
        return _silenced(record, event)
    led = led_by(record, event.system, event.local_id)
    decision = merge(led, event, record.key, rules, event_seq, Told(spans=told.spans, alias=True))
    after = decision.record
    if after is None or after is led:
        after = record
    else:
        after = led_by(after, event.system, main)._replace(links=record.links, aliases=record.aliases)
    return decision._replace(record=after, owed=False)


def _silenced(record: Record, event: Event) -> Decision:
    """An alias has gone from its system: the record has another id there, and stays as it is."""
    voice = voice_of(event.system, event.local_id)
    if _is_stale(record.seen.get(voice, SILENT), event):
        return _stale(record, event)
    after = record._replace(seen={**record.seen, voice: Seen(event.observed_at_ms)})
    reason = "an alias has gone: the record has another id there"
    return Decision(Outcome.UNCHANGED, after, False, Op.DELETE, reason=reason)


def _passed_on(
    record: Record, event: Event, heir: str, rules: EntityRule, event_seq: int, told: Told
) -> Decision:
    """The main id has gone, and another one has the record: that one speaks for the system from now on. Where
    the system's value stood and the other one says something else, its value stands.
    """
    system, at_ms = event.system, event.observed_at_ms
    if _is_stale(record.seen.get(system, SILENT), event):
        return _stale(record, event)
    after = led_by(record, system, heir)
    after = after._replace(seen={**after.seen, voice_of(system, event.local_id): Seen(at_ms)})
    origin = Origin(system, event_seq, at_ms, "owner", record.rev + 1)
    changed: list[str] = []
    for name in after.seen[system].said:
        rule = rules.fields.get(name)
        if rule is None or name in changed or name not in record.origins:
            continue
        if record.origins[name].system != system or system not in owners_at(rule, at_ms, told.spans):
            continue
        unit, said = rule.group or (name,), after.seen[system].said
        values = tuple([said.get(each, after.values.get(each)) for each in unit])
        accepted = Accepted(unit, values, "owner")
        after = after._replace(
            values={**after.values, **dict(zip(unit, values, strict=True))},
            origins={**after.origins, **dict.fromkeys(unit, origin)},
            seen={
                voice: after_change(seen, accepted, after.values, rules.normal_of(system_of(voice)))
                for voice, seen in after.seen.items()
            },
        )
        changed += [each for each in unit if record.values.get(each) != after.values.get(each)]
    after = after._replace(rev=record.rev + 1, changed=tuple(changed), event_seq=event_seq)
    reason = "its main id has gone: another one of it speaks now"
    return Decision(Outcome.ACCEPTED, after, True, Op.UPDATE, tuple(changed), reason=reason)


def _is_stale(before: Seen, event: Event) -> bool:
    return max(before.at_ms, *before.times.values(), 0) > event.observed_at_ms


def _stale(record: Record, event: Event) -> Decision:
    reason = "older than what it said before"
    return Decision(Outcome.STALE, record, False, event.op, reason=reason)
