"""What is particular to the sql destination; the laws of all destinations stand in tests/conformance."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from conformance.subjects import Sql

from adapters.sql import Destination, Settings, dialect
from bus.adapter import EntityShape, Surroundings
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome


@pytest.fixture
def subject(tmp_path: Path, request: pytest.FixtureRequest) -> Sql:
    return Sql(tmp_path, request)


@pytest.fixture
async def there(subject: Sql) -> AsyncIterator[Destination]:
    destination = subject.make()
    yield destination
    await destination.close()


def made(path: Path, *shapes: EntityShape, url: str = "") -> Destination:
    surroundings = Surroundings(
        system="wh", state=path.parent, now_ms=lambda: 0, sleep=asyncio.sleep, entities=shapes
    )
    return Destination(Settings(url=url or f"sqlite:///{path}"), surroundings)


async def test_columns_are_typed_by_the_hubs_types(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])

    columns = subject.rows("SELECT name, type FROM pragma_table_info('student')")
    assert {column["name"]: column["type"] for column in columns} == {
        "id": "TEXT",
        "name": "TEXT",
        "grade": "INTEGER",
        "average": "REAL",
        "enrolled": "INTEGER",
        "born": "TEXT",
        "classes": "TEXT",
        "_version": "INTEGER",
        "_hash": "TEXT",
        "deleted_at": "TEXT",
    }


async def test_a_table_is_widened_and_never_narrowed(subject: Sql) -> None:
    wide = subject.shape._replace(fields=(*subject.shape.fields, ("email", "text")))
    for shape, seq, extra in (
        (subject.shape, 1, {}),
        (wide, 2, {"email": "a@b.example"}),
        (subject.shape, 3, {}),
    ):
        destination = made(subject.path, shape)
        await destination.check()
        await destination.apply([subject.delivery("1", seq, {**subject.fields("1", f"v{seq}"), **extra})])
        await destination.close()

    [row] = subject.rows("SELECT name, email FROM student")
    assert row == {"name": "v3", "email": "a@b.example"}


async def test_other_content_in_the_same_version_is_written(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1, subject.fields("1", "before the mapping changed"))])

    [receipt] = await there.apply([subject.delivery("1", 1, subject.fields("1", "after"))])

    assert receipt.outcome is Outcome.DELIVERED
    assert await subject.look("1") == subject.fields("1", "after")


async def test_a_row_that_was_edited_there_is_written_again_if_it_is_asked_for_and_no_newer(
    subject: Sql, there: Destination
) -> None:
    """Its hash says what we have written, not what somebody has made of it since."""
    await there.apply([subject.delivery("1", 5)])
    with closing(sqlite3.connect(subject.path)) as database, database:
        database.execute("UPDATE student SET name = 'Edited'")

    outcomes = []
    for seq, again in ((5, False), (4, True), (5, True)):
        [receipt] = await there.apply([subject.delivery("1", seq)._replace(again=again)])
        outcomes.append((receipt.outcome, subject.rows("SELECT name FROM student")[0]["name"]))
    assert outcomes == [
        (Outcome.UNCHANGED, "Edited"),
        (Outcome.SUPERSEDED, "Edited"),
        (Outcome.DELIVERED, "Ada"),
    ]


async def test_the_version_is_raised_where_the_content_is_unchanged(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])
    await there.apply([subject.delivery("1", 3)])

    [receipt] = await there.apply([subject.delivery("1", 2, subject.fields("1", "older"))])

    assert receipt.outcome is Outcome.SUPERSEDED


async def test_a_deactivated_row_stays_with_its_time(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])

    await there.apply([subject.delivery("1", 2, op=Op.DELETE, deactivate=True)])

    [row] = subject.rows("SELECT name, deleted_at FROM student")
    assert row == {"name": "Ada", "deleted_at": "2026-11-18T11:06:40.000+00:00"}


async def test_a_deletion_that_comes_first_keeps_the_older_record_out(
    subject: Sql, there: Destination
) -> None:
    await there.apply([subject.delivery("1", 5, op=Op.DELETE)])

    [older] = await there.apply([subject.delivery("1", 4)])
    [newer] = await there.apply([subject.delivery("1", 6)])

    assert (older.outcome, newer.outcome) == (Outcome.SUPERSEDED, Outcome.DELIVERED)
    assert subject.rows(f"SELECT * FROM {dialect.TOMBSTONES}") == []


@pytest.mark.parametrize("count", [1, 2, 3, 33, 513, 1_000, 2_500])
async def test_a_batch_of_any_size_arrives_whole(subject: Sql, there: Destination, count: int) -> None:
    batch = [subject.delivery(f"{n}", n + 1) for n in range(count)]

    first = await there.apply(batch)
    second = await there.apply(batch)

    assert {receipt.outcome for receipt in first} == {Outcome.DELIVERED}
    assert {receipt.outcome for receipt in second} == {Outcome.UNCHANGED}
    assert subject.rows("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM student") == [
        {"n": count, "ids": count}
    ]


async def test_one_batch_may_hold_everything(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery(f"{n}", n) for n in range(1, 9)])
    batch = [
        subject.delivery("1", 11, subject.fields("1", "edited")),
        subject.delivery("2", 12),
        subject.delivery("3", 13, op=Op.DELETE),
        subject.delivery("4", 14, op=Op.DELETE, deactivate=True),
        subject.delivery("5", 2, subject.fields("5", "old")),
        subject.delivery("6", 16, subject.bad_fields("6")),
        subject.delivery("9", 17),
        subject.delivery("10", 18, {"id": "10", "name": "only a name"}),
    ]

    receipts = await there.apply(batch)

    assert [receipt.outcome.value for receipt in receipts] == [
        "delivered",
        "unchanged",
        "delivered",
        "delivered",
        "superseded",
        "failed",
        "delivered",
        "delivered",
    ]
    assert [row["id"] for row in subject.rows("SELECT id FROM student ORDER BY CAST(id AS INTEGER)")] == [
        "1", "2", "4", "5", "6", "7", "8", "9", "10",
    ]  # fmt: skip


async def test_two_records_with_one_id_are_compared_by_version(subject: Sql, there: Destination) -> None:
    first = subject.delivery("1", 2, subject.fields("1", "newer"))
    second = subject.delivery("2", 1, {**subject.fields("1", "older"), "id": "1"})

    receipts = await there.apply([first, second])

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED, Outcome.SUPERSEDED]
    assert await subject.look("1") == subject.fields("1", "newer")


async def test_a_number_beyond_64_bits_fails_alone(subject: Sql, there: Destination) -> None:
    huge = subject.delivery("2", 2, {**subject.fields("2"), "grade": 1 << 64})

    receipts = await there.apply([subject.delivery("1", 1), huge])

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED, Outcome.FAILED]
    assert receipts[1].reason.startswith("grade: more than 64 bits")


async def test_a_field_without_a_column_fails_by_name(subject: Sql, there: Destination) -> None:
    [receipt] = await there.apply([subject.delivery("1", 1, {"id": "1", "shoe_size": 38})])

    assert receipt.outcome is Outcome.FAILED
    assert "shoe_size" in receipt.reason


async def test_a_locked_database_is_unavailable_and_then_goes_on(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])
    with closing(sqlite3.connect(subject.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(Unavailable, match="another program has it locked"):
            await there.apply([subject.delivery("2", 2)])

    [receipt] = await there.apply([subject.delivery("2", 2)])
    assert receipt.outcome is Outcome.DELIVERED


async def test_a_full_disk_is_unavailable_and_nothing_is_half_written(
    subject: Sql, there: Destination
) -> None:
    await there.apply([subject.delivery("1", 1)])

    def allow_one_more_page() -> None:
        assert there._connection is not None
        [pages] = there._connection.execute("PRAGMA page_count").fetchone()
        there._connection.execute(f"PRAGMA max_page_count = {pages + 1}").fetchall()

    await asyncio.get_running_loop().run_in_executor(there._thread, allow_one_more_page)

    with pytest.raises(Unavailable, match="the disk is full"):
        await there.apply([subject.delivery(f"{n}", n) for n in range(2, 500)])

    assert subject.rows("SELECT count(*) AS n FROM student") == [{"n": 1}]


async def test_a_file_that_is_no_database_is_unavailable(subject: Sql, there: Destination) -> None:
    subject.path.write_bytes(b"id,name\n" * 200)

    with pytest.raises(Unavailable, match="no SQLite database"):
        await there.check()
    with pytest.raises(Unavailable, match="no SQLite database"):
        await there.apply([subject.delivery("1", 1)])


async def test_a_file_put_in_its_place_is_taken_up(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])
    for path in subject.folder.glob("warehouse.db*"):
        path.unlink()

    [receipt] = await there.apply([subject.delivery("1", 1)])

    assert receipt.outcome is Outcome.DELIVERED
    assert await subject.look("1") == subject.fields("1")


async def test_a_table_that_yellowbus_did_not_make_is_left_alone(subject: Sql, there: Destination) -> None:
    with closing(sqlite3.connect(subject.path)) as other:
        other.execute("CREATE TABLE student (id TEXT PRIMARY KEY, name TEXT)")

    with pytest.raises(ConfigError, match="table student: has no column _version"):
        await there.check()
    with pytest.raises(Unavailable, match="table student: has no column _version"):
        await there.apply([subject.delivery("1", 1)])


async def test_a_changed_type_is_a_config_error(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])
    retyped = subject.shape._replace(fields=(("grade", "text"),))
    other = made(subject.path, retyped)

    with pytest.raises(ConfigError, match="column grade is INTEGER"):
        await other.check()
    await other.close()


async def test_check_leaves_no_trace(subject: Sql, there: Destination) -> None:
    await there.check()

    assert list(subject.folder.iterdir()) == []


async def test_what_is_delivered_is_synced(subject: Sql, there: Destination) -> None:
    await there.apply([subject.delivery("1", 1)])

    connection = there._connection
    assert connection is not None

    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(there._thread, pragma, "synchronous") == 2
    assert await loop.run_in_executor(there._thread, pragma, "journal_mode") == "wal"


async def test_names_of_any_kind_are_quoted(tmp_path: Path, subject: Sql) -> None:
    shape = EntityShape("student", 'order "by"', "select", (("select", "text"), ("drop table; --", "text")))
    destination = made(tmp_path / "odd.db", shape)
    delivery = subject.delivery("1", 1, {"select": "1", "drop table; --": "x"})

    [first] = await destination.apply([delivery])
    [second] = await destination.apply([delivery])
    [gone] = await destination.apply([subject.delivery("1", 2, op=Op.DELETE)])
    await destination.close()

    assert [r.outcome.value for r in (first, second, gone)] == ["delivered", "unchanged", "delivered"]


async def test_an_id_may_be_a_number(tmp_path: Path, subject: Sql) -> None:
    shape = EntityShape("student", "student", "number", (("number", "integer"), ("name", "text")))
    destination = made(tmp_path / "numbers.db", shape)
    delivery = subject.delivery("1", 1, {"number": 7, "name": "Ada"})

    [first] = await destination.apply([delivery])
    [second] = await destination.apply([delivery])
    gone = await destination.apply([subject.delivery("1", 2, op=Op.DELETE, local_id=first.local_id)])
    await destination.close()

    assert first.local_id == "7"
    assert [r.outcome.value for r in (first, second, *gone)] == ["delivered", "unchanged", "delivered"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://db/x", "PostgreSQL comes later"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_another_url_is_a_config_error(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        made(tmp_path / "x.db", Sql.shape, url=url)


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([("student", "t", "id", (("Deleted_At", "text"),))], "a column Deleted_At of its own"),
        ([("student", "t", "id", (("name", "text"), ("Name", "text")))], "ignores case"),
        ([("student", "_yellowbus_t", "id", ())], "cannot be the name of a table"),
        ([("a", "t", "id", ()), ("b", "t", "key", ())], "id for one entity and key for another"),
        ([("a", "t", "id", (("n", "text"),)), ("b", "t", "id", (("n", "integer"),))], "n is TEXT for one"),
        ([("a", "t", "id", ()), ("b", "T", "id", ())], "one to a database"),
    ],
)
def test_tables_that_cannot_be_are_config_errors(
    tmp_path: Path, shapes: list[tuple[str, str, str, tuple[tuple[str, str], ...]]], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        made(tmp_path / "x.db", *(EntityShape(*shape) for shape in shapes))


async def test_two_entities_may_share_a_table(tmp_path: Path, subject: Sql) -> None:
    student = EntityShape("student", "person", "id", (("id", "text"), ("grade", "text")))
    teacher = EntityShape("teacher", "person", "id", (("id", "text"), ("room", "text")))
    destination = made(tmp_path / "x.db", student, teacher)
    batch = [
        subject.delivery("1", 1, {"id": "1", "grade": "9"}),
        subject.delivery("2", 2, {"id": "2", "room": "B"})._replace(entity="teacher"),
    ]

    receipts = await destination.apply(batch)
    again = await destination.apply(batch)
    await destination.close()

    assert {receipt.outcome for receipt in receipts} == {Outcome.DELIVERED}
    assert {receipt.outcome for receipt in again} == {Outcome.UNCHANGED}
