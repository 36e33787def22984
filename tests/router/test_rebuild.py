"""The index made again from the streams is the index that was lost."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from running import (
    Place,
    check_conservation,
    check_destinations,
    drop,
    flowed,
    lay_out,
    router_here,
    sampled,
    shared,
    streams,
    through,
)

from bus.codec import decode_event, encode_audit, encode_change, encode_event, encode_state
from bus.embedded import embedded
from bus.errors import YellowbusError
from bus.jetstream import JetStream
from bus.messages import AuditRecord, Change, Event, Op, Outcome, Record, Step
from bus.port import Message
from console.cli import main
from console.client import client
from router.config import load
from router.database import Sqlite
from router.gaps import Gaps
from router.rebuild import Rebuild
from router.store import QUERIES, SCHEMA, Store

KEY = "(SELECT key FROM record r WHERE r.id = {}.record)"
"""Row ids are the index's own: another index has others."""
TABLES = {
    "record": "key, entity, rev, seq, body, seen",
    "link": "system, entity, local_id, key",
    "ledger": f"destination, {KEY.format('ledger')}, rev, epoch, seq, hash, local_id",
    "work": f"destination, {KEY.format('work')}, rev",
    "changed": f"seq, entity, {KEY.format('changed')}",
    "failure": f"destination, {KEY.format('failure')}, rev, at_ms, attempts, reason",
    "outbox": "id",
    "matching": "token, key",
    "conflict": "id, key, state, body",
    "unmatched": "system, entity, local_id, event_seq, candidates, body",
    "dismissed": "system, entity, local_id, event_seq, body",
    "waiting": "token, system, entity, local_id",
    "timetable": "key, at_ms",
    "loose": "system, local_id, key",
    "position": "name, value",
}


def rows_of(index: Path) -> dict[str, list[tuple[Any, ...]]]:
    connection = sqlite3.connect(index)
    try:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}"), key=repr)
            for table, columns in TABLES.items()
        }
    finally:
        connection.close()


def rebuilt(place: Place) -> str:
    found = CliRunner().invoke(main, ["rebuild", *place.arguments])
    assert found.exit_code == 0, found.output
    return found.output


def small(folder: Path) -> list[Path]:
    return [shared("small")]


def two_days(folder: Path) -> list[Path]:
    return [sampled(folder, day=1), sampled(folder, day=2)]


@pytest.mark.parametrize("packages", [small, two_days])
def test_records_links_and_ledger_are_the_same_and_nothing_is_sent(
    tmp_path: Path, packages: Callable[[Path], list[Path]]
) -> None:
    place, given = lay_out(tmp_path), packages(tmp_path)

    async def first_life() -> Any:
        async with router_here(place):
            for package in given:
                await through(place, package)
            return await streams(place)

    async def next_life() -> Any:
        async with router_here(place), client(place.where) as bus:
            await through(place, given[-1])
            return await streams(place), await bus.ask("status")

    before = asyncio.run(first_life())
    lost = rows_of(place.state / "index.sqlite")
    zips = sorted((place.state / "assessment").iterdir())
    (place.state / "index.sqlite").write_bytes(b"no database any more")
    output = rebuilt(place)
    again = rows_of(place.state / "index.sqlite")
    after, status = asyncio.run(next_life())

    for table, rows in lost.items():
        assert again[table] == rows, table
    assert len(lost["record"]) > 100 and len(lost["ledger"]) > 2 * 100
    assert f"{len(lost['record']):,} records" in output and "not restored" in output
    assert "delivered longer ago than AUDIT keeps (400 days): that is sent again" in output
    assert len(after.delivered) == len(before.delivered)
    assert all(each["outcomes"] == {} for each in status["destinations"].values())
    assert sorted((place.state / "assessment").iterdir()) == zips
    check_conservation(after)
    check_destinations(place, given[-1])


def test_what_was_to_do_is_still_to_do(tmp_path: Path) -> None:
    place, package = lay_out(tmp_path), sampled(tmp_path, students=10)
    (place.state / "assessment").rmdir()  # so it waits

    async def first_life() -> None:
        async with router_here(place), client(place.where) as bus:
            drop(place, package)
            async with asyncio.timeout(20):
                while True:
                    there = (await bus.ask("status"))["destinations"]
                    if there["assessment"]["waiting"] > 100 and there["warehouse"]["outcomes"]:
                        return

    async def next_life() -> Any:
        async with router_here(place), client(place.where) as bus:
            await flowed(bus, 0)
            return await streams(place)

    asyncio.run(first_life())
    lost = rows_of(place.state / "index.sqlite")
    rebuilt(place)
    again = rows_of(place.state / "index.sqlite")
    (place.state / "assessment").mkdir()
    after = asyncio.run(next_life())

    assert set(again["work"]) >= set(lost["work"]) and len(lost["work"]) > 100
    check_conservation(after)
    check_destinations(place, package)


def test_the_old_index_is_kept_and_a_router_that_runs_is_not_disturbed(tmp_path: Path) -> None:
    place = lay_out(tmp_path)

    async def while_it_runs() -> Any:
        async with router_here(place):
            await through(place, sampled(tmp_path, students=10))
            return await asyncio.to_thread(CliRunner().invoke, main, ["rebuild", *place.arguments])

    refused = asyncio.run(while_it_runs())
    old = rows_of(place.state / "index.sqlite")
    rebuilt(place)

    assert refused.exit_code == 1 and "another yellowbus router is running" in refused.output
    assert rows_of(place.state / "index.sqlite.before-rebuild") == old


# -- what the streams may be like


@asynccontextmanager
async def index(folder: Path) -> AsyncIterator[Sqlite]:
    async with Sqlite.open(folder / "index.sqlite", QUERIES["schema"]) as database:
        yield database


def event(n: int, at_ms: int = 1_000) -> Message:
    said = Event(f"e{n}", "sis", "org", Op.CREATE, f"{n}", {"name": "x"}, True, at_ms)
    return Message("event.sis.org.create", encode_event(said), said.id)


def settled(n: int) -> AuditRecord:
    return AuditRecord(f"event/{n}", Step.EVENT, Outcome.ACCEPTED, 0, entity="org", seq=n)


def delivered(rev: int, outcome: Outcome, hash_: str, seq: int) -> AuditRecord:
    return AuditRecord(
        f"lms/org/1@1.{rev}",
        Step.DELIVERY,
        outcome,
        0,
        destination="lms",
        entity="org",
        key="org/1",
        rev_from=rev,
        rev=rev,
        epoch=1,
        seq=seq,
        hash=hash_,
    )


async def tell(bus: JetStream, *records: AuditRecord) -> None:
    for record in records:
        subject = f"audit.{record.step}.{record.outcome}.{record.system}.org"
        await bus.publish("AUDIT", [Message(subject, encode_audit([record]), record.id)])


async def test_what_the_audit_did_not_settle_is_left_to_the_start(bus: JetStream, tmp_path: Path) -> None:
    """The audit of a batch is several messages; a crash may come between two of them."""
    await bus.publish("EVENTS", [event(n) for n in range(1, 7)])
    await tell(bus, *(settled(n) for n in (1, 2, 3, 5, 6)))

    async with index(tmp_path) as database:
        made = await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()

    assert made.events == 3


async def test_an_event_that_the_stream_has_not_any_more_is_no_gap(bus: JetStream, tmp_path: Path) -> None:
    await bus.publish("EVENTS", [event(n) for n in range(1, 7)])
    await bus.connection.api("STREAM.MSG.DELETE.EVENTS", {"seq": 4})
    await tell(bus, *(settled(n) for n in (1, 2, 3, 5, 6)))

    async with index(tmp_path) as database:
        made = await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()

    assert made.events == 6


async def test_a_failed_delivery_leaves_the_version_that_the_destination_holds(
    bus: JetStream, tmp_path: Path
) -> None:
    await bus.publish("EVENTS", [Message("event.sis.org.create", b"x")])
    await bus.publish("CHANGES", [change(1, 1)])
    await tell(
        bus,
        settled(1),
        delivered(1, Outcome.DELIVERED, "first", seq=10),
        delivered(2, Outcome.FAILED, "first", seq=20),
    )

    async with index(tmp_path) as database:
        await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()
        [row] = database.read("SELECT rev, seq, hash FROM ledger")

    assert row == (2, 10, "first")


def change(n: int, event_seq: int) -> Message:
    record = Record(f"org/{n}", "org", 1, 0, False, (), event_seq, {"name": "x"}, {}, {"sis": f"{n}"}, {})
    said = Change(record, Op.CREATE, f"e{n}", "sis", Outcome.ACCEPTED, (), 0, 0)
    return Message(f"change.org.x{n}", encode_change(said))


async def test_changes_of_events_that_are_not_settled_are_left_to_the_start(
    bus: JetStream, tmp_path: Path
) -> None:
    await bus.publish("EVENTS", [event(1), event(2)])
    await bus.publish("CHANGES", [change(1, event_seq=1), change(2, event_seq=2)])
    await tell(bus, settled(1))

    async with index(tmp_path) as database:
        made = await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()

    assert (made.events, made.changes, made.records, made.links) == (1, 1, 1, 1)


async def test_a_clock_that_ran_ahead_is_held_to_the_time_of_receipt(bus: JetStream, tmp_path: Path) -> None:
    await bus.publish("EVENTS", [event(1), event(1, at_ms=10**15)._replace(id="again")])
    await bus.publish("CHANGES", [change(1, event_seq=1)])
    await tell(bus, settled(1), settled(2))

    async with index(tmp_path) as database:
        await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()
        [record] = Store(database).records(["org/1"]).values()

    assert 0 < record.seen["sis"].at_ms < 10**14


async def test_an_id_that_a_destination_gave_outlives_its_audit(bus: JetStream, tmp_path: Path) -> None:
    """AUDIT is kept 400 days, STATE for good: an account must be found again, not made twice."""
    await bus.publish("EVENTS", [event(1)])
    await bus.publish("CHANGES", [change(1, event_seq=1)])
    await bus.publish(
        "STATE",
        [
            Message(
                "state.link.lms.org.x", encode_state({"system": "lms", "key": "org/1", "local_id": "own-7"})
            )
        ],
    )
    await tell(bus, settled(1))

    async with index(tmp_path) as database:
        made = await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()
        ledger = database.read(
            "SELECT destination, key, l.rev, hash, local_id FROM ledger l JOIN record r ON r.id = l.record"
        )
        work = database.read(
            "SELECT destination, key, w.rev FROM work w JOIN record r ON r.id = record ORDER BY 1"
        )

    assert (made.records, made.changes, made.links) == (1, 1, 1)
    assert ledger == [("lms", "org/1", 0, "", "own-7")]
    assert work == [("assessment", "org/1", 1), ("warehouse", "org/1", 1)]


async def test_foreign_messages_are_passed_over_and_counted(bus: JetStream, tmp_path: Path) -> None:
    await bus.publish("CHANGES", [Message("change.org.x", b"garbage")])
    await bus.publish("AUDIT", [Message("audit.event.accepted.sis.org", b"\xff\xfe")])
    await bus.publish("STATE", [Message("state.link.idp.org.x", b"{}")])

    async with index(tmp_path) as database:
        made = await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()

    assert made.foreign == 3


async def test_an_index_that_is_not_empty_is_not_touched(bus: JetStream, tmp_path: Path) -> None:
    async with index(tmp_path) as database:
        store = Store(database)
        await store.commit([store.write("save_positions", [("schema", SCHEMA)])])

        with pytest.raises(YellowbusError, match="not empty"):
            await Rebuild(bus, database, load(*lay_out(tmp_path)[:2]), 1, 0).run()


def later(said: Event, id_: str) -> Event:
    return said._replace(id=id_, observed_at_ms=said.observed_at_ms + 1)


async def test_a_repeat_that_changed_nothing_is_seen_again(tmp_path: Path) -> None:
    """What a system said last decides what is stale: it has to survive the loss of the index."""
    place = lay_out(tmp_path)
    package = sampled(tmp_path, students=10)
    async with router_here(place):
        await through(place, package)
    async with embedded(place.state / "nats", synced=False) as address, JetStream.connect(address) as bus:
        async for page in bus.read("EVENTS"):
            again = [
                Message(
                    stored.subject, encode_event(said._replace(id=f"x{n}", observed_at_ms=at_ms)), f"x{n}"
                )
                for n, stored in enumerate(page)
                for said in [decode_event(stored.body)]
                for at_ms in [said.observed_at_ms + 1]
            ]
            await bus.publish("EVENTS", again[:20])
            break
    async with router_here(place), client(place.where) as asking:
        await flowed(asking, 0)
    lost = rows_of(place.state / "index.sqlite")

    await asyncio.to_thread(rebuilt, place)

    assert sum(row[5] is not None for row in lost["record"]) == 20
    assert rows_of(place.state / "index.sqlite") == lost


def test_gaps_close_from_both_ends_and_in_the_middle() -> None:
    gaps = Gaps(0)
    for seq in (5, 1, 4, 2, 9, 7):
        gaps.saw(seq)

    assert (gaps.high, gaps.left) == (9, [(3, 3), (6, 6), (8, 8)])


def test_windows_of_time_and_jobs_are_there_again(tmp_path: Path) -> None:
    place, package = lay_out(tmp_path), sampled(tmp_path, students=20)
    index = place.state / "index.sqlite"
    request = {"system": "warehouse", "since": "1h", "why": "x"}

    async def first_life() -> Any:
        async with router_here(place), client(place.where) as bus:
            await through(place, package)
            await bus.ask("replay.start", request | {"rate_per_s": 1, "force": True})
            return await bus.ask("replay.preview", request), await bus.ask("replay.pause", says)

    async def next_life() -> Any:
        async with router_here(place), client(place.where) as bus:
            preview = await bus.ask("replay.preview", request)
            return preview, await bus.ask("replay.resume", says), await bus.ask("replay.show", says)

    says = {"id": "replay.1", "why": "x"}
    before, paused = asyncio.run(first_life())
    index.unlink()
    rebuilt(place)
    after, resumed, _ = asyncio.run(next_life())

    assert after["counts"]["records"] == before["counts"]["records"] > 100
    assert after["counts"]["send"] == 0
    assert resumed["job"] == {**paused["job"], "state": "running", "approved": True}
