"""What must be true when all is quiet, whatever happened on the way."""

from collections import Counter
from collections.abc import Iterator

from simulation.district import SENIOR, TOLD
from simulation.school import State, Values
from simulation.systems import Far
from simulation.waiting import required_by, waiting, wrongly_waiting
from simulation.world import Town

from bus.codec import decode_audit, decode_change, decode_record, unpack
from bus.messages import AuditRecord, Change, Outcome, Step, Value
from router.core.delivery import HELD_UNKNOWN, content_hash
from router.core.rules import DestinationRule

EVENT_OUTCOMES = {
    Outcome.ACCEPTED,
    Outcome.UNCHANGED,
    Outcome.STALE,
    Outcome.REFUSED,
    Outcome.CONFLICT,
    Outcome.HELD,
    Outcome.INVALID,
    Outcome.UNMATCHED,
    Outcome.DISMISSED,
}
DELIVERY_OUTCOMES = {
    Outcome.DELIVERED,
    Outcome.UNCHANGED,
    Outcome.SUPERSEDED,
    Outcome.FILTERED,
    Outcome.FAILED,
}
ATTEMPTS_MAX = 12


def broken(town: Town, *, by_script: bool = True) -> list[str]:
    """Every invariant that does not hold, in words; names of records, and where to look.

    `by_script`: what is true follows from the scripts of the sources, so compare with it.
    """
    audit = audited(town)
    found: list[str] = []
    for check in (_events, _changes, _index, _deliveries, _letters, _lacking, _left, _waits):
        found += check(town, audit)
    for check in (_readings, _records, _held) if by_script else ():
        found += check(town, audit)
    return found


def audited(town: Town) -> dict[str, list[AuditRecord]]:
    """All audit records by id, as often as they stand there."""
    found: dict[str, list[AuditRecord]] = {}
    for stored in town.server.streams["AUDIT"].messages.values():
        if stored.subject.startswith("audit.conflict."):  # a conflict, with its values
            continue
        for record in decode_audit(stored.body):
            found.setdefault(record.id, []).append(record)
    return found


Audit = dict[str, list[AuditRecord]]


def changes(town: Town) -> list[Change]:
    """All that was ever decided, in order."""
    return [decode_change(stored.body, stored.seq) for stored in town.server.streams["CHANGES"].history]


def _readings(town: Town, audit: Audit) -> Iterator[str]:
    """A sound reading is taken, a bad one refused."""
    for system, scripts in town.scripts.items():
        for script in scripts:
            wanted = "refused" if script.bad else "accepted"
            if script.settled != wanted:
                yield f"{system} {script.name} ({script.bad or 'sound'}): {script.settled or 'not settled'}"


def _events(town: Town, audit: Audit) -> Iterator[str]:
    """Every event is settled exactly once."""
    for seq in town.server.streams["EVENTS"].messages:
        told = audit.get(f"event/{seq}", [])
        if not told:
            yield f"event {seq} was never settled"
        elif len(set(told)) > 1:
            yield f"event {seq} was settled twice, and differently"
        elif told[0].outcome not in EVENT_OUTCOMES:
            yield f"event {seq} ended as {told[0].outcome}"
    for id_, told in audit.items():
        if len(set(told)) > 1 and told[0].step is not Step.READ:
            yield f"audit {id_} stands there with {len(set(told))} contents"


def _changes(town: Town, audit: Audit) -> Iterator[str]:
    """Each record's revs are 1, 2, 3 …, and each event makes one change at most."""
    for violation in town.server.streams["CHANGES"].violations:
        yield f"CHANGES: a compare header did not match: {violation}"
    revs: dict[str, int] = {}
    by_event: Counter[int] = Counter()
    for change in changes(town):
        key, rev = change.record.key, change.record.rev
        if rev != revs.get(key, 0) + 1:
            yield f"{key}: rev {rev} after {revs.get(key, 0)}"
        revs[key] = rev
        by_event[change.record.event_seq] += 1
    for seq, count in by_event.items():
        if count > 1:
            yield f"event {seq} was decided {count} times"


def _index(town: Town, audit: Audit) -> Iterator[str]:
    """The index says of each record what its newest change says."""
    rows = town.disk.rows("index.sqlite", "SELECT key, rev, seq, body FROM record")
    known = {key: decode_record(body, seq) for key, _, seq, body in rows}
    newest = {change.record.key: change.record for change in changes(town)}
    for key in sorted(known.keys() | newest.keys()):
        if known.get(key) != newest.get(key):
            yield f"{key}: the index and CHANGES differ"


def _records(town: Town, audit: Audit) -> Iterator[str]:
    """The hub's truth is what follows from the readings that were taken."""
    newest = {change.record.key: change.record for change in changes(town)}
    wanted = expected(town)
    there = {key for key, record in newest.items() if not record.deleted}
    for key in sorted(there ^ wanted.keys()):
        yield f"{key}: {'not in the hub' if key in wanted else 'in the hub, and gone at its source'}"
    for key in sorted(there & wanted.keys()):
        record = newest[key]
        told = {name: _by_id(value) for name, value in record.values.items() if name in wanted[key]}
        if told != wanted[key]:
            yield f"{key}: the hub has other values than its source"


def expected(town: Town) -> dict[str, dict[str, Value]]:
    """What is true of every record by its key, from the readings alone."""
    hub: State = {}
    for system, owned in (("sis", {"student", "class", "enrollment"}), ("hr", {"staff"})):
        taken = [script for script in town.scripts[system] if not script.bad]
        hub.update({name: values for name, values in taken[-1].after.items() if name[0] in owned})
    return {f"{entity}/{id_}": _typed(entity, values) for (entity, id_), values in hub.items()}


def _typed(entity: str, values: Values) -> dict[str, Value]:
    return {
        name: None if not values[name] else int(values[name]) if name == "credits" else values[name]
        for name in TOLD[entity]
    }


def _by_id(value: Value) -> Value:
    return value.partition("/")[2] if isinstance(value, str) and "/" in value else value


def _deliveries(town: Town, audit: Audit) -> Iterator[str]:
    """For each destination and record the settled ranges are 1..newest rev, without gap or overlap."""
    revs: dict[str, int] = {}
    open_ = waiting(town)
    for change in changes(town):
        revs[change.record.key] = change.record.rev
    ranges: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for told in audit.values():
        record = told[0]
        if record.step is Step.DELIVERY:
            ranges.setdefault((record.destination, record.key), []).append((record.rev_from, record.rev))
            if record.outcome not in DELIVERY_OUTCOMES:
                yield f"{record.id}: a delivery ended as {record.outcome}"
    for name in town.fars:
        rule = town.district.systems[name].destination
        assert rule
        for key, newest in revs.items():
            if key.partition("/")[0] not in rule.entities:
                continue
            at = 0
            for start, end in sorted(ranges.pop((name, key), [])):
                if start != at + 1:
                    yield f"{name} {key}: revs {start}..{end} were settled after 1..{at}"
                at = end
            if at != newest and (name, key) not in open_:
                yield f"{name} {key}: settled up to rev {at} of {newest}"
    for name, key in ranges:
        yield f"{name} {key}: settled, but there is no such record"


def _held(town: Town, audit: Audit) -> Iterator[str]:
    """Each destination has exactly what it should, and nothing went back in time."""
    truth = expected(town)
    newest = {change.record.key: change.record for change in changes(town)}
    settled, open_ = _newest_settled(audit), waiting(town)
    for name, far in town.fars.items():
        yield from far.violations
        rule = town.district.systems[name].destination
        assert rule
        for key, record in newest.items():
            entity = rule.entities.get(record.entity)
            last = settled.get((name, key))
            if entity is None or last is None or last.outcome is Outcome.FAILED or (name, key) in open_:
                continue
            student = required_by(name, record)
            if student and (
                (stood := settled.get((name, student))) is None or stood.outcome is Outcome.FAILED
            ):
                continue
            if student and (name, student) in open_:
                continue
            wanted = truth.get(key)
            if wanted is not None and not all(_is_for(rule, each, truth) for each in (key, student) if each):
                wanted = None
            yield from _one_held(far, key, wanted, entity.on_delete)
            yield from _ledger_says(town, far, key)


def _is_for(rule: DestinationRule, key: str, truth: dict[str, dict[str, Value]]) -> bool:
    """Is a destination to have that record by its own rule?"""
    when = rule.entities[key.partition("/")[0]].when
    return key in truth and (when is None or truth[key]["grade"] != SENIOR)


def _newest_settled(audit: Audit) -> dict[tuple[str, str], AuditRecord]:
    found: dict[tuple[str, str], AuditRecord] = {}
    for told in audit.values():
        record = told[0]
        if record.step is Step.DELIVERY:
            before = found.get((record.destination, record.key))
            if before is None or before.rev < record.rev:
                found[record.destination, record.key] = record
    return found


def _one_held(far: Far, key: str, wanted: dict[str, Value] | None, on_delete: str) -> Iterator[str]:
    held = far.records.get(key)
    if wanted is None:
        gone = held is None or (on_delete == "deactivate" and not held.active) or on_delete == "ignore"
        if not gone:
            yield f"{far.name} {key}: is still there, and should be gone ({on_delete})"
        return
    fields = {"id": key.partition("/")[2], **wanted}
    if held is None or not held.active:
        yield f"{far.name} {key}: is not there"
    elif dict(held.fields) != fields:
        names = [name for name in fields if held.fields.get(name) != fields[name]]
        yield f"{far.name} {key}: other values there: {', '.join(names)}"


def _ledger_says(town: Town, far: Far, key: str) -> Iterator[str]:
    """The ledger knows what the destination holds."""
    sql = "SELECT hash FROM ledger JOIN record ON record.id = ledger.record WHERE destination = ? AND key = ?"
    [(hash_,)] = town.disk.rows("index.sqlite", sql, far.name, key)
    held = far.records.get(key)
    there = content_hash(held.fields, town.district.key) if held and held.active else ""
    if hash_ not in (there, HELD_UNKNOWN):
        yield f"{far.name} {key}: the ledger does not know what is there"


def _letters(town: Town, audit: Audit) -> Iterator[str]:
    """No dead letter without a cause, none twice, and one for each delivery that failed."""
    letters: Counter[str] = Counter()
    for stored in town.server.streams["DEAD"].messages.values():
        letter = unpack(stored.body)
        letters[letter["id"]] += 1
        far = town.fars[letter["destination"]]
        key = letter["key"]
        refused = any(refused_key == key for refused_key, _ in far.refused)
        tired = far.postponed.get(key, 0) >= ATTEMPTS_MAX
        if not (refused or tired or key in far.poison):
            yield f"{letter['id']}: a dead letter without a cause: {letter['reason']}"
    # A put has an outcome of its own; its letter is that of the record in that version.
    failed = {told[0].id.partition("/")[0] for told in audit.values() if told[0].outcome is Outcome.FAILED}
    for id_ in sorted(failed ^ letters.keys()):
        yield f"{id_}: {'failed without a dead letter' if id_ in failed else 'a dead letter of no failure'}"


def _lacking(town: Town, audit: Audit) -> Iterator[str]:
    """The index lists just the records whose newest delivery or put failed."""
    last: dict[tuple[str, str], AuditRecord] = {}
    for told in audit.values():
        if told[0].step in (Step.DELIVERY, Step.PUT):
            last[told[0].destination, told[0].key] = told[0]
    wanted = {(*name, each.rev, each.reason) for name, each in last.items() if each.outcome is Outcome.FAILED}
    sql = "SELECT destination, key, f.rev, reason FROM failure f JOIN record r ON r.id = f.record"
    for name in sorted(wanted ^ set(town.disk.rows("index.sqlite", sql))):
        yield f"{name[0]} {name[1]}: {'failed, and is not listed' if name in wanted else 'listed as failed'}"


def _waits(town: Town, audit: Audit) -> Iterator[str]:
    yield from wrongly_waiting(town)


def _left(town: Town, audit: Audit) -> Iterator[str]:
    """Nothing waits to be told."""
    rows = town.disk.rows("index.sqlite", "SELECT id, msg_id FROM outbox")
    if rows:
        yield f"outbox: {len(rows)} messages are still there, the first {rows[0][1]}"
    for system, scripts in town.scripts.items():
        if scripts and scripts[-1].bad:  # it died as it put the last one aside: the next one clears up
            continue
        for table in ("plan", "staged", "loose"):
            if town.disk.rows(f"{system}.sqlite", f"SELECT 1 FROM {table} LIMIT 1"):
                yield f"{system}: rows are left in {table}"
