"""Whole districts, the two versions, and bytes that nobody meant."""

import csv
import io
import tracemalloc
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from folders import rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oneroster_inbox import USERS, Inbox, ids, package, user

from adapters.oneroster_csv.tables import TABLES
from adapters.oneroster_csv.writing import write_csv
from bus.adapter import EntityShape
from bus.errors import Refused

COUNTS = {
    "district-small.zip": {"users": 268, "enrollments": 1_855, "demographics": 248},
    "district-medium.zip": {"enrollments": 5_810, "demographics": 778},
    "district-large.zip": {"users": 4_441, "enrollments": 31_045, "demographics": 4_225},
}


@pytest.mark.parametrize("name", COUNTS)
async def test_a_district_that_we_did_not_make_is_read_whole(inbox: Inbox, data: Path, name: str) -> None:
    (inbox.folder / name).write_bytes((data / name).read_bytes())
    found = {}

    async with inbox.reading() as reading:
        await reading.open()
        for table in reading.tables:
            found[table] = await rows(reading, table)

    with zipfile.ZipFile(data / name) as archive:
        for table, got in found.items():
            lines = csv.DictReader(io.TextIOWrapper(archive.open(f"{table}.csv"), "utf-8", newline=""))
            expected = [{k: v for k, v in line.items() if k != "password"} for line in lines]
            assert [row.values for row in got] == expected
    assert {table: len(found[table]) for table in COUNTS[name]} == COUNTS[name]
    assert reading.full


async def test_batches_are_small_and_a_table_can_be_read_twice(inbox: Inbox) -> None:
    inbox.put(package({"users": USERS + "".join(user(str(n)) for n in range(1_201))}))

    async with inbox.reading() as reading:
        await reading.open()
        sizes = [len(batch) async for batch in reading.rows("users")]
        again = await rows(reading, "users")

        assert sizes == [500, 500, 201]
        assert [row.line for row in again] == list(range(2, 1_203))


async def test_memory_does_not_grow_with_the_file(inbox: Inbox) -> None:
    peaks = []
    for size in (2_000, 8_000):
        inbox.put(package({"users": USERS + "".join(user(str(n)) for n in range(size))}), f"{size}.zip")
        async with inbox.reading() as reading:
            await reading.open()
            tracemalloc.start()
            async for _ in reading.rows("users"):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            await reading.accept()

    assert peaks[1] < peaks[0] * 1.2
    assert peaks[1] < 3_000_000


async def test_a_delta_says_what_is_gone(inbox: Inbox) -> None:
    date = "2026-11-02T00:00:00.000Z"
    changed = user("1", status="active", date=date) + user("2", status="tobedeleted", date=date)
    inbox.put(package({"users": USERS + changed}, kind="delta"))

    async with inbox.reading() as reading:
        await reading.open()
        found = await rows(reading, "users")

        assert not reading.full
        assert [(row.values["sourcedId"], row.deleted) for row in found] == [("1", False), ("2", True)]
        assert reading.warnings == ()


# OneRoster 1.2

USER = EntityShape("user", "users", "sourcedId", (("role", "text"), ("orgSourcedIds", "list")))

USERS_1_2 = ",".join(TABLES["1.2"]["users"].columns) + "\r\n"
ROLES = ",".join(TABLES["1.2"]["roles"].columns) + "\r\n"


def user_1_2(id_: str, status: str = "") -> str:
    return f"{id_},{status},,true,u{id_},,Tam,Elmwick{',' * 14}\r\n"


def role(id_: str, user_id: str, role: str, org: str, *, primary: bool = False, status: str = "") -> str:
    return f"{id_},{status},,{user_id},{'primary' if primary else 'secondary'},{role},,,{org},\r\n"


async def test_users_of_1_2_have_role_and_schools_as_in_1_1_primary_first(inbox: Inbox) -> None:
    roles = (
        role("a", "1", "aide", "o2")
        + role("b", "1", "teacher", "o1", primary=True)
        + role("c", "2", "student", "o3")
    )
    inbox.put(
        package({"users": USERS_1_2 + user_1_2("1") + user_1_2("2"), "roles": ROLES + roles}, version="1.2")
    )

    async with inbox.reading() as reading:
        await reading.open()
        first, second = await rows(reading, "users")

        assert (first.values["role"], first.values["orgSourcedIds"]) == ("teacher", "o1,o2")
        assert (second.values["role"], second.values["orgSourcedIds"]) == ("student", "o3")
        assert reading.warnings == ()


async def test_a_1_2_bulk_without_roles_is_refused(inbox: Inbox) -> None:
    inbox.put(package({"users": USERS_1_2 + user_1_2("1")}, version="1.2"))

    refused = await inbox.refused()

    assert refused.code == "no-roles"


async def test_a_1_2_delta_of_roles_alone_brings_their_users(inbox: Inbox) -> None:
    bulk = {
        "users": USERS_1_2 + user_1_2("1") + user_1_2("2"),
        "roles": ROLES + role("a", "1", "aide", "o1", primary=True),
    }
    delta = {"roles": ROLES + role("b", "1", "aide", "o2", status="active")}
    inbox.put(package(bulk, version="1.2"), "1.zip")
    async with inbox.reading() as reading:
        await reading.open()
        await rows(reading, "users")
        await reading.accept()
    inbox.put(package(delta, version="1.2", kind="delta"), "2.zip")

    async with inbox.reading(USER) as reading:
        await reading.open()
        found = await rows(reading, "users")

        assert reading.tables == ("users",)
        assert [(row.values["sourcedId"], row.values["orgSourcedIds"], row.line) for row in found] == [
            ("1", "o1,o2", 2)
        ]
        assert found[0].values["givenName"] == "Tam"


async def test_a_1_2_delta_of_users_keeps_the_roles_that_are_known(inbox: Inbox) -> None:
    bulk = {"users": USERS_1_2 + user_1_2("1"), "roles": ROLES + role("a", "1", "aide", "o1", primary=True)}
    inbox.put(package(bulk, version="1.2"), "1.zip")
    async with inbox.reading() as reading:
        await reading.open()
        await rows(reading, "users")
        await reading.accept()
    inbox.put(package({"users": USERS_1_2 + user_1_2("1", "active")}, version="1.2", kind="delta"), "2.zip")

    async with inbox.reading() as reading:
        await reading.open()
        (found,) = await rows(reading, "users")

        assert (found.values["role"], found.values["orgSourcedIds"]) == ("aide", "o1")


async def test_a_1_2_delta_about_somebody_unknown_is_refused(inbox: Inbox) -> None:
    delta = {"roles": ROLES + role("b", "1", "aide", "o2", status="active")}
    inbox.put(package(delta, version="1.2", kind="delta"))

    refused = await inbox.refused(USER)

    assert refused.reasons[0].startswith("roles.csv:2:4: a role of a user that is neither")


# Properties

cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
TABLE = TABLES["1.1"]["orgs"]


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(*[cells] * 4), min_size=1, max_size=8))
async def test_what_our_writer_writes_reads_back_equal(lines: list[tuple[str, ...]]) -> None:
    written = io.BytesIO()
    table = [[id_, "", "", name, kind, identifier, ""] for id_, name, kind, identifier in lines]
    write_csv(written, [TABLE.columns, *table])
    with TemporaryDirectory() as folder:
        inbox = Inbox(Path(folder))
        inbox.folder.mkdir()
        inbox.put(package({"orgs": written.getvalue()}))

        async with inbox.reading() as reading:
            await reading.open()
            found = await rows(reading, "orgs")

    assert [list(row.values.values()) for row in found] == table


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
async def test_a_zip_changed_at_random_is_refused_or_reads_as_it_was(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        inbox = Inbox(Path(folder))
        inbox.folder.mkdir()
        path = inbox.put(package({"users": USERS + user("1") + user("2", '"a, ""b"""')}))
        content = bytearray(path.read_bytes())
        if data.draw(st.booleans(), label="cut"):
            content = content[: data.draw(st.integers(0, len(content)))]
        for _ in range(data.draw(st.integers(1, 3)) if content else 0):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            async with inbox.reading() as reading:
                await reading.open()
                found = await rows(reading, "users")
        except Refused:
            return

    assert ids(found) == ["1", "2"]
    assert found[1].values["givenName"] == 'a, "b"'


def test_a_manifest_that_we_write_names_every_known_file() -> None:
    from adapters.oneroster_csv.manifest import rows_of

    written = dict(rows_of("1.2", {"users": "bulk"}, system="x"))

    assert {name for name in written if name.startswith("file.")} == {
        f"file.{name}" for name in TABLES["1.2"]
    }
    assert (written["file.users"], written["file.roles"]) == ("bulk", "absent")
