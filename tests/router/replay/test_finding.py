"""How a window's records stand at a destination, by the index alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.core.jobs import Counts, Job, Kind, Members
from router.database import Sqlite
from router.replay.finding import counted, members_of, pace_of
from router.store import QUERIES, Store

JOB = Job("", Kind.REPLAY, "lms", 10, 20, 3, 5, ("class", "student"), "", False, 0.0, "ada", "", 30)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        store = Store(database)
        records = [(f"student/{n}", "student", 1, 20 + n, b"") for n in range(1, 8)]
        records.append(("org/1", "org", 1, 40, b""))
        await store.commit([store.write("save_records", records)])
        await store.commit([store.write("save_positions", [("changes", 40)])])
        yield store


async def test_a_window_has_its_changes_and_its_deliveries_of_the_entities_that_are_asked_for(
    store: Store,
) -> None:
    changed = [(2, "student/1"), (3, "student/2"), (4, "org/1"), (5, "student/3"), (6, "student/4")]
    ended = [
        ("lms", "student", 9, "[1]", "[]"),
        ("lms", "student", 10, "[2]", "[5]"),
        ("lms", "student", 19, "[]", "[6]"),
        ("lms", "student", 20, "[7]", "[]"),
        ("idp", "student", 15, "[4]", "[]"),
        ("lms", "org", 15, "[8]", "[]"),
    ]
    await store.commit([store.write("save_changed", changed), store.write("save_ended", ended)])

    members = await members_of(store, JOB)
    assert members.after(0, 9) == [(2, True), (3, False), (5, False), (6, False)]
    members = await members_of(store, JOB._replace(record="student/3"))
    assert members.after(0, 9) == [(3, False)]


async def test_what_is_there_is_told_from_what_is_to_be_brought(store: Store) -> None:
    hashes = enumerate(["a", "b", "", "", "?"], 1)
    held = [("lms", record, 1, 1, 20 + record, hash_, "", 1) for record, hash_ in hashes]
    failed = [("lms", 2, 1, 22, 1, 1, "422")]
    await store.commit([store.write("save_ledger", held), store.write("save_failures", failed)])
    await store.commit([store.write("put_records", [("lms", 4, "restore.1", 0, 0, 1)])])
    members = Members(8)
    members.add([1, 2, 3, 4, 5, 6])
    members.add([3], told=True)

    assert await counted(store, JOB, members) == Counts(6, 1, 1, 4, 4)
    assert await counted(store, JOB._replace(force=True), members) == Counts(6, 1, 1, 4, 6)


async def test_the_pace_is_what_it_took_lately_and_no_more_than_its_limits(store: Store) -> None:
    assert pace_of(store, "lms", (0.0, 5.0)) == 5.0
    ended = [("lms", "student", 1_000 * n, "[1, 2, 3]", "[4]") for n in range(1, 5)]
    await store.commit([store.write("save_ended", ended)])

    assert pace_of(store, "lms", (0.0, 5.0)) == 3.0
    assert pace_of(store, "lms", (2.0, 0.0)) == 2.0
    assert pace_of(store, "idp", (0.0,)) == 0.0
