"""One SQLite file: whole transactions, shared commits, and what one caller's trouble means to the others."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bus.errors import Unavailable
from router.database import ROWS_AT_ONCE, Sqlite, Write, statements

SCHEMA = "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)"
INSERT = "INSERT INTO t VALUES {rows}"
SLOW = "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT max(i) FROM n"
"""Some tens of milliseconds, in which others come to wait."""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Sqlite]:
    async with Sqlite.open(tmp_path / "index.sqlite", SCHEMA) as database:
        yield database


def insert(*numbers: int) -> Write:
    return Write(INSERT, [(number, "x") for number in numbers])


def numbers(database: Sqlite) -> list[int]:
    return [number for (number,) in database.read("SELECT a FROM t ORDER BY a")]


async def test_what_was_written_is_there_for_a_reader_and_after_a_start(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "index.sqlite"
    async with Sqlite.open(path, SCHEMA) as database:
        await database.write([insert(1, 2)])
        assert numbers(database) == [1, 2]

    async with Sqlite.open(path, SCHEMA) as again:
        assert numbers(again) == [1, 2]


async def test_several_writers_share_a_commit(database: Sqlite) -> None:
    groups: list[int] = []
    transaction = database._transaction

    def counted(group: object) -> None:
        groups.append(len(group))  # type: ignore[arg-type]
        transaction(group)  # type: ignore[arg-type]

    database._transaction = counted  # type: ignore[method-assign]
    await asyncio.gather(*[database.write([insert(number)]) for number in range(20)])

    assert numbers(database) == list(range(20))
    assert sum(groups) == 20
    assert len(groups) <= 3


async def test_a_transaction_is_written_whole_or_not_at_all(database: Sqlite) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await database.write([insert(1), insert(2), insert(1)])

    assert numbers(database) == []


async def test_a_write_that_fails_does_not_take_its_neighbours_with_it(database: Sqlite) -> None:
    slow = asyncio.ensure_future(database.write([Write(SLOW, [(0,)])]))
    await asyncio.sleep(0)
    wrong = asyncio.ensure_future(database.write([insert(1, 1)]))
    right = asyncio.ensure_future(database.write([insert(2)]))
    outcomes = await asyncio.gather(slow, wrong, right, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [type(None), sqlite3.IntegrityError, type(None)]
    assert numbers(database) == [2]


async def test_after_a_write_that_failed_the_next_one_is_taken(database: Sqlite) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await database.write([insert(1, 1)])
    await database.write([insert(3)])

    assert numbers(database) == [3]


async def test_a_caller_that_is_cancelled_takes_nobodys_commit_with_it(database: Sqlite) -> None:
    first = asyncio.ensure_future(database.write([Write(SLOW, [(0,)]), insert(1)]))
    await asyncio.sleep(0.005)
    second = asyncio.ensure_future(database.write([insert(2)]))
    await asyncio.sleep(0)
    first.cancel()
    await second
    await database.write([insert(3)])

    assert numbers(database) == [1, 2, 3]


async def test_a_caller_that_is_cancelled_while_it_waits_leaves_the_others_waiting_right(
    database: Sqlite,
) -> None:
    first = asyncio.ensure_future(database.write([Write(SLOW, [(0,)])]))
    await asyncio.sleep(0)
    waits = asyncio.ensure_future(database.write([insert(2)]))
    last = asyncio.ensure_future(database.write([insert(3)]))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(first, last)

    assert 3 in numbers(database)


async def test_a_full_disk_is_unavailable_and_nothing_of_it_is_written(database: Sqlite) -> None:
    [[pages]] = database._writer.execute("PRAGMA page_count").fetchall()
    database._writer.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(Unavailable) as full:
        await database.write([Write(INSERT, [(number, "x" * 1000) for number in range(200)])])
    assert full.value.runbook == "disk-full"
    assert numbers(database) == []


async def test_a_reader_writes_nothing(database: Sqlite) -> None:
    with pytest.raises(sqlite3.OperationalError):
        database.read("DELETE FROM t")


@pytest.mark.parametrize("count", [0, 1, 4, 5, 26, 399, 400, 401, 1234])
def test_rows_are_cut_into_few_sizes_and_none_is_lost(count: int) -> None:
    found = statements(insert(*range(count)))

    assert [value for _, values in found for value in values[::2]] == list(range(count))
    assert {len(values) // 2 for _, values in found} <= set(ROWS_AT_ONCE)


def test_a_statement_without_rows_runs_once_for_each() -> None:
    assert statements(Write("DELETE FROM t WHERE a = ?", [(1,), (2,)])) == [
        ("DELETE FROM t WHERE a = ?", [1]),
        ("DELETE FROM t WHERE a = ?", [2]),
    ]
