"""What must be true of three systems that tell and are told, when all is quiet, and of the way there."""

from collections import Counter
from collections.abc import Iterator

from simulation.invariants import audited, broken, changes
from simulation.people import FIELDS, OPERATOR, STUDENT
from simulation.town_of_three import TownOfThree

from bus.codec import decode_alert, decode_conflict, decode_event
from bus.messages import EXISTENCE, AuditRecord, Conflict, Event, Op, Outcome, Record, Step, Value
from router.core.authority import owners_at

HOUR_MS = 3_600_000
NOTED = {Outcome.STALE, Outcome.DISMISSED, Outcome.UNMATCHED, Outcome.HELD, Outcome.INVALID}


def disagreements(town: TownOfThree) -> list[str]:
    """Every invariant that does not hold, in words."""
    found = broken(town, by_script=False)
    conflicts = told_conflicts(town)
    events = said(town)
    for check in (_agree, _owned):
        found += check(town)
    found += _typed_claims(town, conflicts, events)
    found += _told_once(conflicts)
    found += _alerted(town, conflicts)
    found += _nothing_lost(town, conflicts, events)
    found += [line for far in town.fars.values() for line in far.violations]
    return found


def told_conflicts(town: TownOfThree) -> dict[str, tuple[int, Conflict]]:
    """Every conflict on AUDIT by its id, and when it stood there."""
    return {
        stored.id: (stored.at_ms, decode_conflict(stored.body)[0])
        for stored in town.server.streams["AUDIT"].history
        if stored.subject.startswith("audit.conflict.")
    }


def said(town: TownOfThree) -> dict[int, tuple[Event, AuditRecord]]:
    """Every event that was decided, with what it came to."""
    audit = audited(town)
    return {
        seq: (decode_event(stored.body), audit[f"event/{seq}"][0])
        for seq, stored in town.server.streams["EVENTS"].messages.items()
        if f"event/{seq}" in audit
    }


def newest(town: TownOfThree) -> dict[str, Record]:
    return {change.record.key: change.record for change in changes(town)}


def _agree(town: TownOfThree) -> Iterator[str]:
    """Every system has the record, on the fields for which nobody is asked."""
    for key, record in newest(town).items():
        for name, teller in town.people.tellers.items():
            held = teller.records.get(key)
            if record.deleted or held is None:
                if not (record.deleted and held is None):
                    yield f"{name} {key}: {'is still there' if held else 'is not there'}"
                continue
            for field in FIELDS:
                if name in record.asked.get(field, ()):
                    continue
                if held.fields.get(field) != record.values.get(field):
                    yield f"{name} {key}: {field} is {held.fields.get(field)}, not {record.values.get(field)}"


def _was_typed(town: TownOfThree, system: str, key: str, field: str, value: Value) -> bool:
    return value is None or value in town.people.tellers[system].typed.get((key, field), ())


def _owned(town: TownOfThree) -> Iterator[str]:
    """Every value that ever stood was typed in a system that had authority then, or picked by a person."""
    for change in changes(town):
        record = change.record
        for name, origin in record.origins.items():
            if origin.system == OPERATOR:
                if origin.rule != "picked":
                    yield f"{record.key} rev {record.rev}: {name} by a person under rule {origin.rule}"
                continue
            rule = STUDENT.fields.get(name, STUDENT)
            if origin.system not in owners_at(rule, origin.at_ms):
                yield f"{record.key} rev {record.rev}: {name} is from {origin.system}, not its owner then"
            if name != EXISTENCE and not _was_typed(
                town, origin.system, record.key, name, record.values[name]
            ):
                yield f"{record.key} rev {record.rev}: nobody typed that {name} in {origin.system}"


def _typed_claims(
    town: TownOfThree,
    conflicts: dict[str, tuple[int, Conflict]],
    events: dict[int, tuple[Event, AuditRecord]],
) -> Iterator[str]:
    """Nobody is refused, or in conflict, for what it was given and only repeats."""
    for id_, (_, conflict) in conflicts.items():
        sides = ((conflict.system, conflict.values), (conflict.other, conflict.other_values))
        for system, values in sides:
            for name, value in zip(conflict.fields, values, strict=True):
                if name == EXISTENCE or system == OPERATOR or len(conflict.fields) > 1:
                    continue
                if not _was_typed(town, system, conflict.key, name, value):
                    yield f"{id_}: {system} never typed {value} into {name} ({conflict.rule})"
    for seq, (event, audit) in events.items():
        if event.system == OPERATOR:  # a pick of what has changed since is refused: look again
            continue
        by_field = dict(audit.by_field)
        if audit.outcome is Outcome.REFUSED and event.op is Op.DELETE:
            yield f"event {seq}: {event.system} is refused for a removal that nobody made there"
        for name in audit.fields:
            refused = by_field.get(name, audit.outcome) == Outcome.REFUSED
            group = STUDENT.fields[name].group
            if refused and not any(
                _was_typed(town, event.system, audit.key, n, event.fields[n])
                for n in group or (name,)
                if n in event.fields
            ):
                yield f"event {seq}: {event.system} is refused for {event.fields[name]} in {name}"


def _told_once(conflicts: dict[str, tuple[int, Conflict]]) -> Iterator[str]:
    """The same two edits are one conflict."""
    sides = Counter(
        (
            c.key,
            c.fields,
            *sorted([(c.system, str(c.values), c.event_seq), (c.other, str(c.other_values), c.other_seq)]),
        )
        for _, c in conflicts.values()
    )
    for side, count in sides.items():
        if count > 1:
            yield f"{side}: told {count} times"


def _alerted(town: TownOfThree, conflicts: dict[str, tuple[int, Conflict]]) -> Iterator[str]:
    """No conflict without an alert that names its system and fields, within the hour before it."""
    alerts = [
        (decode_alert(s.body).system, decode_alert(s.body).text, s.at_ms)
        for s in town.server.streams["ALERTS"].history
        if decode_alert(s.body).kind in ("conflict", "bouncing")
    ]
    for id_, (at_ms, conflict) in conflicts.items():
        names = ", ".join(name or "existence" for name in conflict.fields)
        near = [
            1
            for system, text, told_ms in alerts
            if system == conflict.system and names in text and abs(told_ms - at_ms) < 2 * HOUR_MS
        ]
        if not near:
            yield f"{id_}: no alert of it"


def _nothing_lost(
    town: TownOfThree,
    conflicts: dict[str, tuple[int, Conflict]],
    events: dict[int, tuple[Event, AuditRecord]],
) -> Iterator[str]:
    """What somebody typed is not passed over in silence when it is first said."""
    in_conflict = {(c.event_seq, name) for _, c in conflicts.values() for name in c.fields} | {
        (c.other_seq, name) for _, c in conflicts.values() for name in c.fields
    }
    stood: dict[tuple[str, str], list[tuple[int, Value]]] = {}
    for change in changes(town):
        for name, value in change.record.values.items():
            stood.setdefault((change.record.key, name), []).append((change.record.event_seq, value))
    heard: set[tuple[str, str, str, Value]] = set()
    contacts: set[tuple[str, str]] = set()
    where: dict[tuple[str, str, Value], int] = Counter()
    for teller in town.people.tellers.values():
        for (key, name), values in teller.typed.items():
            where.update((key, name, value) for value in values)
    for seq, (event, audit) in events.items():
        if event.system not in town.people.tellers or event.op is Op.DELETE:
            continue
        if (
            audit.op == Op.CREATE or (event.system, audit.key) not in contacts
        ):  # its first contact: a difference is no news
            contacts.add((event.system, audit.key))
            heard.update((event.system, audit.key, *each) for each in event.fields.items())
            continue
        for name, value in event.fields.items():
            if where[audit.key, name, value] > 1:  # nobody can tell whether it was typed or given
                continue
            typed = value in town.people.tellers[event.system].typed.get((audit.key, name), ())
            news = (event.system, audit.key, name, value)
            if value is None or not typed or news in heard:
                continue
            heard.add(news)
            if audit.outcome in NOTED:
                continue
            noted = {name_ for name_, _ in audit.by_field} or set(audit.fields)
            if name in noted or (seq, name) in in_conflict or name in audit.reason:
                continue
            then = [value for at, value in stood.get((audit.key, name), []) if at <= seq]
            if "delete" in audit.reason or (then and then[-1] == value):
                continue
            yield f"event {seq}: {event.system} typed {value} into {name} of {audit.key}, and nobody noticed"


def puts(town: TownOfThree) -> int:
    return sum(told[0].step is Step.PUT for told in audited(town).values())
