"""The main job: a district's export goes in at one end, three systems are up to date at the other.

Field for field: each column of each file that we did not make, against what each system itself now holds.
"""

import csv
import io
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.scim_server import TOKEN, call, scim_server
from running import (
    REPOSITORY,
    Place,
    Router,
    check_conservation,
    lay_out,
    sampled,
    shared,
    streams,
    through,
)

UNTOLD = {"sourcedId", "status", "dateLastModified", "password"}
"""The id is the row's name; the next two say nothing in a bulk file; the last is nobody's business."""

WAREHOUSE_TABLES = {
    "orgs": ["orgs"],
    "academicSessions": ["terms"],
    "courses": ["courses"],
    "classes": ["classes"],
    "users": ["students", "staff", "guardians"],
    "enrollments": ["enrollments"],
    "demographics": ["demographics"],
}
WAREHOUSE_NAMES = {
    "parentSourcedId": "parent",
    "schoolYearSourcedId": "schoolYear",
    "orgSourcedId": "org",
    "courseSourcedId": "course",
    "schoolSourcedId": "school",
    "termSourcedIds": "terms",
    "enabledUser": "enabled",
    "orgSourcedIds": "orgs",
    "agentSourcedIds": "agents",
    "classSourcedId": "class",
    "userSourcedId": "user",
}
"""The warehouse has the hub's names; everything else is called as in OneRoster."""


@pytest.fixture
def scim(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with scim_server() as url:
        monkeypatch.setenv("SCIM_URL", f"{url}/district")
        monkeypatch.setenv("SCIM_TOKEN", TOKEN)
        yield f"{url}/district"


@pytest.fixture
def place(tmp_path: Path, scim: str) -> Place:
    place = lay_out(tmp_path)
    text = (REPOSITORY / "integrations" / "idp.yaml").read_text()
    (place.config / "idp.yaml").write_text(text.replace("rate: 200/s", "rate: 5000/s"))
    return place


async def test_every_field_of_the_small_district_arrives_at_all_three(
    place: Place, scim: str, tmp_path: Path
) -> None:
    package = shared("small")
    with Router(place) as router:
        await router.start()
        flow = await through(place, package)
        found = await streams(place)
        files = rows_of(package)

        assert flow.events == sum(len(rows) for rows in files.values()) == found.events
        check_conservation(found)
        assert {record.outcome for record in found.delivered} == {"delivered"}
        check_warehouse(place, files)
        check_assessment(place, files)
        check_accounts(scim, files)


async def test_the_second_day_brings_each_system_to_the_second_export(
    place: Place, scim: str, tmp_path: Path
) -> None:
    with Router(place) as router:
        await router.start()
        await through(place, sampled(tmp_path, students=60))
        before = await streams(place)
        package = sampled(tmp_path, students=60, day=2)
        await through(place, package)
        after = await streams(place)
        files = rows_of(package)

        assert 0 < after.events - before.events < before.events / 2
        check_conservation(after)
        check_warehouse(place, files)
        check_assessment(place, files)
        check_accounts(scim, files)


async def test_the_same_file_again_sends_nothing(place: Place, tmp_path: Path) -> None:
    with Router(place) as router:
        await router.start()
        await through(place, sampled(tmp_path))
        before = await streams(place)
        written = {path: path.stat().st_mtime_ns for path in (place.state / "assessment").iterdir()}
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        await through(place, sampled(tmp_path / "again"))
        after = await streams(place)

        assert (after.events, after.changes) == (before.events, before.changes)
        assert len(after.delivered) == len(before.delivered)
        assert {path: path.stat().st_mtime_ns for path in (place.state / "assessment").iterdir()} == written


# -- what the file says, and what each system says


Rows = dict[str, dict[str, str]]


def rows_of(package: Path) -> dict[str, Rows]:
    """Each file's rows by sourcedId."""
    with zipfile.ZipFile(package) as archive:
        found = {}
        for name in WAREHOUSE_TABLES:
            text = archive.read(f"{name}.csv").decode("utf-8-sig")
            found[name] = {row["sourcedId"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
        return found


def check_warehouse(place: Place, files: dict[str, Rows]) -> None:
    connection = sqlite3.connect(place.state / "warehouse.db")
    connection.row_factory = sqlite3.Row
    try:
        for name, tables in WAREHOUSE_TABLES.items():
            held = {
                row["id"]: dict(row)
                for table in tables
                for row in connection.execute(f"SELECT * FROM {table} WHERE deleted_at IS NULL")
            }
            assert held.keys() == files[name].keys(), name
            for id_, row in files[name].items():
                for column in row.keys() - UNTOLD:
                    value = held[id_][WAREHOUSE_NAMES.get(column, column)]
                    assert as_text(value, row[column]) == row[column], (name, column)
    finally:
        connection.close()


def as_text(value: Any, like: str) -> str:
    """A column of the warehouse as OneRoster writes it."""
    if value is None:
        return ""
    if like in ("true", "false"):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith("["):
        return ",".join(json.loads(value))
    return str(value)


def check_assessment(place: Place, files: dict[str, Rows]) -> None:
    newest = max((place.state / "assessment").glob("*.zip"))
    with zipfile.ZipFile(newest) as archive:
        assert "demographics.csv" not in archive.namelist()
        for name in WAREHOUSE_TABLES.keys() - {"demographics"}:
            text = archive.read(f"{name}.csv").decode()
            held = {row["sourcedId"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
            assert held.keys() == files[name].keys(), name
            for id_, row in files[name].items():
                told = {column: value for column, value in row.items() if column not in UNTOLD}
                assert {column: held[id_][column] for column in told} == told, name


def check_accounts(url: str, files: dict[str, Rows]) -> None:
    held = {account["externalId"]: account for account in accounts(url)}
    wanted = {id_: row for id_, row in files["users"].items() if row["role"] not in ("guardian", "parent")}
    gone = held.keys() - wanted.keys()
    assert all(held[id_]["active"] is False for id_ in gone)
    for id_, row in wanted.items():
        account = held[id_]
        assert account["userName"] == row["username"]
        assert account["name"] == {"givenName": row["givenName"], "familyName": row["familyName"]}
        assert [email["value"] for email in account.get("emails", [])] == [row["email"]] * bool(row["email"])
        assert account["userType"] == row["role"]
        assert account["active"] is (row["enabledUser"] == "true")


def accounts(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = call(f"{url}/Users?startIndex={len(found) + 1}&count=100")
        found += page.get("Resources", [])
        if len(found) >= page["totalResults"]:
            return found
