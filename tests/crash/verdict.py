"""What must be true when all is quiet: pure, over what streams and destinations say. Each gives what is not
so, in words: names of records and fields, no values.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from crash.book import Applied

from bus.messages import AuditRecord, Outcome, Step

EVENT_ENDS = {
    Outcome.ACCEPTED,
    Outcome.UNCHANGED,
    Outcome.STALE,
    Outcome.REFUSED,
    Outcome.CONFLICT,
}
DELIVERY_ENDS = {Outcome.DELIVERED, Outcome.UNCHANGED, Outcome.SUPERSEDED, Outcome.FILTERED}
"""How a delivery may end where every destination would take everything: `failed` is none of them."""

Rows = Sequence[tuple[str, Mapping[str, str]]]
"""A table: id and cells as text, '' where there is none. As a list, so that an id can stand there twice."""


class Decided(NamedTuple):
    """A change on CHANGES."""

    key: str
    rev: int
    event_seq: int


def events_settled_once(ids: Mapping[int, str], audit: Iterable[AuditRecord]) -> Iterator[str]:
    """Every event has one outcome, and none stands on EVENTS twice. `ids`: by its sequence."""
    told: dict[int, set[str]] = {}
    for record in audit:
        if record.step is Step.EVENT:
            told.setdefault(record.seq, set()).add(record.id)
            if record.outcome not in EVENT_ENDS:
                yield f"event {record.seq} ended as {record.outcome}: {record.key} {record.reason}"
    for seq in ids:
        if len(told.get(seq, ())) != 1:
            yield f"event {seq} was settled {len(told.get(seq, ()))} times"
    for seq in told.keys() - ids.keys():
        yield f"event {seq} was settled, and is not on EVENTS"
    for id_, count in Counter(ids.values()).items():
        if count > 1:
            yield f"event {id_} stands on EVENTS {count} times"


def ids_say_one_thing(audit: Iterable[AuditRecord]) -> Iterator[str]:
    """A reader may count an id once: it says the same whenever it stands there."""
    first: dict[str, int] = {}
    for record in audit:
        if record.step is not Step.READ and first.setdefault(record.id, hash(record)) != hash(record):
            yield f"audit {record.id} stands there with two contents"


def changes_follow_on(changes: Iterable[Decided]) -> Iterator[str]:
    """Each record's revs are 1, 2, 3 ..., and each event makes one change at most."""
    revs: dict[str, int] = {}
    decided: Counter[int] = Counter()
    for change in changes:
        if change.rev != revs.get(change.key, 0) + 1:
            yield f"{change.key}: rev {change.rev} after {revs.get(change.key, 0)}"
        revs[change.key] = change.rev
        decided[change.event_seq] += 1
    for seq, count in decided.items():
        if count > 1:
            yield f"event {seq} was decided {count} times"


def deliveries_settled_once(
    changes: Iterable[Decided], audit: Iterable[AuditRecord], entities: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """For each destination and record what was settled is 1..newest rev, without gap or overlap, each audit
    id counted once. `entities`: those of each destination.
    """
    newest = {change.key: change.rev for change in changes}
    ranges: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for record in audit:
        if record.step is Step.DELIVERY:
            parts = ranges.setdefault((record.destination, record.key), {})
            parts[record.id] = (record.rev_from, record.rev)
            if record.outcome not in DELIVERY_ENDS:
                yield f"{record.destination} {record.key}: ended as {record.outcome}: {record.reason}"
    for name, wanted in entities.items():
        for key, rev in newest.items():
            if key.partition("/")[0] not in wanted:
                continue
            at = 0
            for start, end in sorted(ranges.pop((name, key), {}).values()):
                if start != at + 1 or end < start:
                    yield f"{name} {key}: revs {start}..{end} were settled after 1..{at}"
                at = max(at, end)
            if at != rev:
                yield f"{name} {key}: settled up to rev {at} of {rev}"
    for name, key in ranges:
        yield f"{name} {key}: settled, and there is no such change for it"


def nothing_made_twice(system: str, applied: Iterable[Applied]) -> Iterator[str]:
    """No record is made while it is there."""
    there: set[tuple[str, str]] = set()
    for each in applied:
        name = (each.table, each.record)
        if each.op == "create" and name in there:
            yield f"{system} {each.table} {each.record}: was made a second time"
        if each.op == "create":
            there.add(name)
        if each.op == "delete":
            there.discard(name)


def versions_never_go_back(system: str, applied: Iterable[Applied]) -> Iterator[str]:
    """Nothing older is applied after something newer. What has no version is not compared."""
    last: dict[tuple[str, str], int] = {}
    for each in applied:
        name = (each.table, each.record)
        if each.version is None:
            continue
        if each.version < last.get(name, 0):
            yield f"{system} {each.table} {each.record}: an older version after a newer one"
        last[name] = max(each.version, last.get(name, 0))


def has_what_it_should(system: str, wanted: Mapping[str, Rows], held: Mapping[str, Rows]) -> Iterator[str]:
    """Each table has the records that it should have, each once, with their values."""
    for table, rows in wanted.items():
        found = dict(held.get(table, ()))
        for id_, count in Counter(id_ for id_, _ in held.get(table, ())).items():
            if count > 1:
                yield f"{system} {table} {id_}: is there {count} times"
        should = dict(rows)
        for id_ in sorted(should.keys() ^ found.keys()):
            yield f"{system} {table} {id_}: is {'not there' if id_ in should else 'there, and should not be'}"
        for id_ in should.keys() & found.keys():
            if differ := [name for name, value in should[id_].items() if found[id_].get(name) != value]:
                yield f"{system} {table} {id_}: other values of {', '.join(differ)}"
