"""What an index made again knows of ids: whose they are, what is dismissed, what refers to nothing yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from running import lay_out

from bus.codec import encode_audit, encode_change, encode_event, encode_state
from bus.jetstream import JetStream
from bus.messages import AuditRecord, Change, Event, Op, Origin, Outcome, Record, Step
from bus.port import Message
from router.config import load
from router.database import Sqlite
from router.rebuild import Rebuild
from router.store import QUERIES, Store

ORIGIN = Origin("sis", 1, 0, "owner", 1)


@asynccontextmanager
async def rebuilt(bus: JetStream, folder: Path, *records: Record) -> AsyncIterator[Store]:
    """The index of a district in which these records have changed, one event each."""
    events, changes, settled = [], [], []
    for seq, record in enumerate(records, 1):
        said = Event(f"e{seq}", "sis", record.entity, Op.CREATE, f"{seq}", {}, True, 0)
        events.append(Message(f"event.sis.{record.entity}.create", encode_event(said), said.id))
        change = Change(record._replace(event_seq=seq), Op.CREATE, said.id, "sis", Outcome.ACCEPTED, (), 0, 0)
        changes.append(Message(f"change.{record.entity}.{record.key[-1]}", encode_change(change)))
        settled.append(AuditRecord(f"event/{seq}", Step.EVENT, Outcome.ACCEPTED, 0, entity="x", seq=seq))
    await bus.publish("EVENTS", events)
    await bus.publish("CHANGES", changes)
    await bus.publish("AUDIT", [Message("audit.event.accepted.sis.x", encode_audit(settled), "audit")])
    async with Sqlite.open(folder / "index.sqlite", QUERIES["schema"]) as database:
        await Rebuild(bus, database, load(*lay_out(folder)[:2]), 1, 0).run()
        yield Store(database)


def student(id_: str, *ids: str, **more: object) -> Record:
    aliases = {"sis": ids[1:]} if ids[1:] else {}
    links = {"sis": ids[0]} if ids else {}
    found = Record(f"student/{id_}", "student", 1, 0, False, (), 0, {}, {}, links, {}, aliases=aliases)
    return found._replace(**more)  # type: ignore[arg-type]


def owners(store: Store, *ids: str) -> list[str]:
    links = store.links([("sis", "student", id_) for id_ in ids])
    return [links.get(("sis", "student", id_), "") for id_ in ids]


async def test_an_id_is_that_records_whose_it_is_now(bus: JetStream, tmp_path: Path) -> None:
    one, two = student("1", "a", "b"), student("2", "b", deleted=True, into="student/1")
    async with rebuilt(bus, tmp_path, student("1", "a"), student("2", "b"), one, two) as store:
        assert owners(store, "a", "b") == ["student/1", "student/1"]


async def test_an_id_that_came_back_with_a_split_is_the_old_records(bus: JetStream, tmp_path: Path) -> None:
    both, left = student("1", "a", "b"), student("2", "b", deleted=True, into="student/1")
    history = (student("2", "b"), both, left, student("2", "b"), both, student("1", "a"))
    async with rebuilt(bus, tmp_path, *history) as store:
        assert owners(store, "a", "b") == ["student/1", "student/2"]


async def test_an_id_that_was_taken_from_a_record_is_nobodys(bus: JetStream, tmp_path: Path) -> None:
    async with rebuilt(bus, tmp_path, student("1", "a", "b"), student("1", "a")) as store:
        assert owners(store, "a", "b") == ["student/1", ""]


async def test_what_is_dismissed_stays_so(bus: JetStream, tmp_path: Path) -> None:
    said = encode_event(Event("x", "sis", "student", Op.CREATE, "z", {"email": "x"}, True, 0))
    body = encode_state({"system": "sis", "local_id": "z", "dismissed": True, "event": said, "event_seq": 1})
    await bus.publish("STATE", [Message("state.unmatched.sis.student.z", body)])
    async with rebuilt(bus, tmp_path, student("1", "a")) as store:
        assert store.read("dismissed_body", "sis", "student", "z") == [(said,)]
        assert store.read("unmatched_body", "sis", "student", "z") == []


async def test_what_refers_to_nothing_yet_is_known(bus: JetStream, tmp_path: Path) -> None:
    enrollment = student("9")._replace(
        key="enrollment/9", entity="enrollment", values={"user": "?/7"}, origins={"user": ORIGIN}
    )
    async with rebuilt(bus, tmp_path, enrollment) as store:
        assert store.read("loose", "sis", "7") == [("enrollment/9",)]
