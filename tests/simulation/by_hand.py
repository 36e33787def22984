"""An empty town in which a test says each event and each reading by hand."""

import contextlib
from collections.abc import Iterator, Sequence

from simulation.clock import START_MS
from simulation.invariants import Audit, audited, changes
from simulation.school import Script
from simulation.world import Town

from bus.adapter import Row
from bus.codec import encode_event
from bus.messages import AuditRecord, Event, Op, Outcome, Record, Step, Value
from bus.port import Message
from bus.subjects import event as event_subject


@contextlib.contextmanager
def empty_town(*, faults: float = 0.0) -> Iterator[Town]:
    """Two sources that say nothing by themselves, three destinations."""
    with contextlib.closing(Town("by hand", days=0, faults=faults)) as town:
        yield town


def event(
    local_id: str,
    *,
    system: str = "sis",
    entity: str = "student",
    op: Op = Op.UPDATE,
    at_ms: int = START_MS,
    **fields: Value,
) -> Event:
    """What a system says about one record."""
    id_ = f"{system}.{entity}.{local_id}.{at_ms}.{len(fields)}"
    return Event(id_, system, entity, op, local_id, fields, op is not Op.DELETE, at_ms)


def say(town: Town, *events: Event) -> None:
    """Put events on EVENTS, as a source does."""
    messages = [
        Message(event_subject(each.system, each.entity, each.op.value), encode_event(each)) for each in events
    ]
    town.server.store("EVENTS", messages, atomic=False)


def say_raw(town: Town, subject: str, body: bytes) -> None:
    town.server.store("EVENTS", [Message(subject, body)], atomic=False)


def records(town: Town) -> dict[str, Record]:
    """Each record as its newest change on CHANGES has it."""
    return {change.record.key: change.record for change in changes(town)}


def outcomes(town: Town, step: Step = Step.EVENT) -> list[Outcome]:
    """How each event (or read, or delivery) ended, by the order in which that was told."""
    audit: Audit = audited(town)
    return [told[0].outcome for told in audit.values() if told[0].step is step]


def told(town: Town, id_: str) -> AuditRecord:
    """The one audit record of that id; of a delivery as `lms/student/1@1.3`: destination, key, epoch, rev."""
    audit: Audit = audited(town)
    if "@" not in id_:
        [record] = set(audit[id_])
        return record
    every = {record for records in audit.values() for record in records if record.step is Step.DELIVERY}
    [record] = [each for each in every if f"{each.destination}/{each.key}@{each.epoch}.{each.rev}" == id_]
    return record


def alerts(town: Town) -> list[str]:
    """The kinds of all alerts."""
    return [stored.subject.split(".")[2] for stored in town.server.streams["ALERTS"].history]


def reading(
    town: Town,
    tables: dict[str, Sequence[tuple[str, dict[str, str]]]],
    *,
    system: str = "sis",
    full: bool = True,
    deleted: frozenset[str] = frozenset(),
) -> Script:
    """Let a source give this reading next: rows are (id, columns)."""
    number = len(town.scripts[system]) + 1
    rows = {
        table: [
            Row(line, {"id": id_, **columns}, id_ in deleted) for line, (id_, columns) in enumerate(of, 2)
        ]
        for table, of in tables.items()
    }
    script = Script(number, town.loop.time(), full, rows, {})
    town.scripts[system].append(script)
    return script
