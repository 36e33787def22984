"""What the index answers, and how those who follow it wait for it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.codec import encode_change, encode_seen
from bus.errors import YellowbusError
from bus.messages import Change, Op, Origin, Outcome, Record, Seen
from bus.port import Message
from router.database import Sqlite
from router.store import QUERIES, SCHEMA, Store, named_queries


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Sqlite]:
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        yield database


@pytest.fixture
def store(database: Sqlite) -> Store:
    return Store(database)


def record(id_: str, rev: int, seq: int) -> Record:
    origins = {"name": Origin("sis", seq, 5, "owner")}
    return Record(
        f"student/{id_}", "student", rev, seq, False, ("name",), seq, {"name": "Ada"}, origins,
        {"sis": id_}, {"sis": Seen(5, ("name",))},
    )  # fmt: skip


def row(of: Record) -> tuple[object, ...]:
    body = encode_change(Change(of, Op.UPDATE, "id", "sis", Outcome.ACCEPTED, (), 6, 5))
    return (of.key, of.entity, of.rev, of.seq, body)


# -- how far it is


async def test_a_position_is_as_far_as_it_ever_was_also_after_a_start(store: Store, database: Sqlite) -> None:
    await store.commit([store.write("save_positions", [("events", 7), ("changes", 3)])])
    await store.commit([store.write("save_positions", [("events", 5)])])

    for each in (store, Store(database)):
        assert (each.position("events"), each.position("changes"), each.position("epoch")) == (7, 3, 0)


async def test_who_waits_for_a_position_goes_on_when_it_is_reached_and_not_before(store: Store) -> None:
    waiting = [asyncio.ensure_future(store.reached("events", number)) for number in (1, 5, 6)]
    await asyncio.sleep(0)
    for position in (4, 5):
        await store.commit([store.write("save_positions", [("events", position)])])
        await asyncio.sleep(0)
    arrived = [each.done() for each in waiting]
    waiting[2].cancel()
    await store.commit([store.write("save_positions", [("events", 6)])])
    async with asyncio.timeout(5):
        await store.reached("events", 6)

    assert arrived == [True, True, False]


async def test_a_commit_of_nothing_asks_nothing_of_the_disk(tmp_path: Path) -> None:
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        store = Store(database)
    await store.commit([store.write("save_positions", [])])  # the file is closed


async def test_an_index_of_a_newer_version_is_refused_untouched(store: Store, database: Sqlite) -> None:
    await store.commit([store.write("save_positions", [("schema", SCHEMA + 1)])])

    with pytest.raises(YellowbusError, match="yellowbus rebuild") as refused:
        Store(database)
    assert refused.value.runbook == "index-refused"


# -- what it holds


async def test_a_record_is_its_newest_change_and_what_systems_said_since(store: Store) -> None:
    ada, bea = record("1", 2, 9), record("2", 1, 8)
    said = {"sis": Seen(50, ("name",), {"name": "Bob"})}
    await store.commit([store.write("save_records", [row(ada), row(bea)])])
    await store.commit([store.write("save_seen", [(ada.key, encode_seen(said))])])
    await store.commit([store.write("save_records", [row(ada._replace(rev=1, seq=4))])])

    assert store.records([ada.key, bea.key, "student/nobody"]) == {
        ada.key: ada._replace(seen=said),
        bea.key: bea,
    }


async def test_what_was_seen_starts_anew_with_a_change(store: Store) -> None:
    await store.commit([store.write("save_records", [row(record("1", 1, 4))])])
    await store.commit([store.write("save_seen", [("student/1", encode_seen({"sis": Seen(50, ("name",))}))])])
    await store.commit([store.write("save_records", [row(record("1", 2, 9))])])

    assert store.records(["student/1"]) == {"student/1": record("1", 2, 9)}


@pytest.mark.parametrize("count", [0, 1, 3, 400, 401, 900])
async def test_many_keys_are_found_however_many(store: Store, count: int) -> None:
    links = [("sis", "student", f"{number}", f"student/{number}") for number in range(count)]
    await store.commit([store.write("save_links", links)])
    wanted = [link[:3] for link in links]

    assert store.links([*wanted, ("idp", "student", "0")]) == {link[:3]: link[3] for link in links}


async def test_a_link_points_to_where_it_was_set_last(store: Store) -> None:
    for key in ("student/1", "student/2"):
        await store.commit([store.write("save_links", [("sis", "student", "7", key)])])

    assert store.links([("sis", "student", "7")]) == {("sis", "student", "7"): "student/2"}


async def test_a_destinations_own_ids_are_its_own(store: Store) -> None:
    await store.commit([store.write("save_records", [row(record("1", 1, 4)), row(record("2", 1, 5))])])
    ids = [("idp", 1, 1, 1, 4, "h", "idp-1"), ("idp", 2, 1, 1, 5, "h", ""), ("lms", 1, 1, 1, 4, "h", "x")]
    await store.commit([store.write("save_ledger", [(*row, 100) for row in ids])])

    assert store.own_ids("idp", ["student/1", "student/2", "student/3"]) == {"student/1": "idp-1"}


async def test_a_destination_holds_something_since_it_was_given_it_and_not_since_it_was_looked_at(
    store: Store,
) -> None:
    await store.commit([store.write("save_records", [row(record("1", 1, 4))])])
    since = []
    for rev, hash_, at_ms in ((1, "one", 100), (2, "one", 200), (3, "other", 300)):
        await store.commit([store.write("save_ledger", [("lms", 1, rev, 1, 4, hash_, "", at_ms)])])
        since.append(store.read("ledger_of", "lms", "student/1")[0][3])

    assert since == [100, 100, 300]


async def test_the_outbox_comes_in_the_order_in_which_it_was_filled(store: Store) -> None:
    await store.commit([store.write("save_outbox", [(2, "b", "2", b"y", "t"), (1, "a", "1", b"x", "")])])

    assert store.outbox() == [(1, Message("a", b"x", "1")), (2, Message("b", b"y", "2", None, "t"))]


# -- its statements


def test_statements_are_named_by_a_comment_and_other_comments_are_left_to_them(tmp_path: Path) -> None:
    file = tmp_path / "some.sql"
    file.write_text(
        "-- What this file is for.\n\n-- one\nSELECT 1;\n\n"
        "-- two: why it is so. And\n-- more of that\nSELECT 2,\n    3;\n"
    )

    assert named_queries(file) == {"one": "SELECT 1", "two": "-- more of that\nSELECT 2,\n    3"}
