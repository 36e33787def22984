"""The invented district: the same for the same arguments, whole on every day, and alive."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from folders import rows
from oneroster_inbox import Inbox

from adapters.oneroster_csv.sample import sample
from adapters.oneroster_csv.sample_district import District
from bus.adapter import Reading

REFERENCES = {
    ("orgs", "parentSourcedId"): "orgs",
    ("courses", "orgSourcedId"): "orgs",
    ("courses", "schoolYearSourcedId"): "academicSessions",
    ("classes", "courseSourcedId"): "courses",
    ("classes", "schoolSourcedId"): "orgs",
    ("classes", "termSourcedIds"): "academicSessions",
    ("users", "orgSourcedIds"): "orgs",
    ("users", "agentSourcedIds"): "users",
    ("demographics", "sourcedId"): "users",
    ("enrollments", "classSourcedId"): "classes",
    ("enrollments", "schoolSourcedId"): "orgs",
    ("enrollments", "userSourcedId"): "users",
}
Tables = dict[str, dict[str, dict[str, str]]]


def run(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(sample, [*arguments, str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


async def tables(inbox: Inbox, *arguments: str) -> Tables:
    """What our source reads of a sample, by table and id; no warning, no id twice."""
    run(inbox.folder, *arguments)
    async with inbox.reading() as reading:
        await reading.open()
        found = {table: await _by_id(reading, table) for table in reading.tables}
        assert reading.warnings == ()
        await reading.accept()
    return found


async def _by_id(reading: Reading, table: str) -> dict[str, dict[str, str]]:
    got = await rows(reading, table)
    found = {row.values["sourcedId"]: {**row.values, "gone": "yes" if row.deleted else ""} for row in got}
    assert len(found) == len(got)
    return found


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("day", ["1", "9"])
async def test_every_reference_is_there(inbox: Inbox, version: str, day: str) -> None:
    found = await tables(inbox, "--students", "300", "--day", day, "--version", version, "--guardians")

    for (table, column), target in REFERENCES.items():
        for cells in found[table].values():
            named = {id_ for id_ in cells[column].split(",") if id_}
            assert named <= found[target].keys(), (table, column)
    students = {id_ for id_, cells in found["users"].items() if cells["role"] == "student"}
    assert students == found["demographics"].keys()
    assert {cells["userSourcedId"] for cells in found["enrollments"].values()} >= students


@pytest.mark.parametrize("form", ["zip", "csv"])
def test_the_same_arguments_write_the_same_bytes(tmp_path: Path, form: str) -> None:
    for folder in ("a", "b"):
        run(tmp_path / folder, "--students", "50", "--seed", "7", "--day", "3", "--format", form)
    first, second = (sorted((tmp_path / folder).rglob("*.*")) for folder in ("a", "b"))

    assert [path.name for path in first] == [path.name for path in second]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))
    assert first


async def test_another_seed_is_another_district(inbox: Inbox) -> None:
    one = await tables(inbox, "--students", "40", "--seed", "1")
    other = await tables(inbox, "--students", "40", "--seed", "2")

    assert one["users"].keys() & other["users"].keys()
    assert one["users"] != other["users"]


async def test_the_next_days_bring_each_kind_of_news_to_a_few(inbox: Inbox) -> None:
    days = [await tables(inbox, "--students", "300", "--day", str(day)) for day in (1, 2)]
    before, now = (day["users"] for day in days)

    both = before.keys() & now.keys()
    changed = {id_: {c for c in now[id_] if now[id_][c] != before[id_][c]} for id_ in both}
    kinds = set().union(*changed.values())
    assert now.keys() - before.keys()
    assert before.keys() - now.keys()
    assert {"familyName", "email", "grades", "orgSourcedIds"} <= kinds
    assert 0.01 < sum(map(bool, changed.values())) / len(before) < 0.06
    assert days[0]["enrollments"].keys() != days[1]["enrollments"].keys()
    assert all("username" not in columns for columns in changed.values())


def test_some_leave_and_nobody_comes_back() -> None:
    district = District(200, 3)
    there = [{student.number for student in district.on(day)} for day in range(1, 30)]
    left: set[int] = set()

    for before, now in pairwise(there):
        left |= before - now
        assert not left & now
    assert 20 < len(left) < 80


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_a_delta_on_a_day_is_the_next_day(inbox: Inbox, version: str) -> None:
    arguments = ("--students", "150", "--version", version, "--guardians")
    before = await tables(inbox, *arguments, "--day", "4")
    delta = await tables(inbox, *arguments, "--day", "5", "--delta")
    now = await tables(inbox, *arguments, "--day", "5")

    def plain(cells: dict[str, str]) -> dict[str, str]:
        return {**cells, "status": "", "dateLastModified": "", "gone": ""}

    for table, rows_now in now.items():
        applied = before[table] | {id_: plain(cells) for id_, cells in delta.get(table, {}).items()}
        for id_, cells in delta.get(table, {}).items():
            if cells["gone"]:
                del applied[id_]
        assert applied == rows_now, table


def test_a_school_has_a_size_that_schools_have() -> None:
    district = District(20_000, 1)
    sizes: dict[int, int] = {}
    for student in district.on(1):
        sizes[student.school.number] = sizes.get(student.school.number, 0) + 1

    assert sizes.keys() == {school.number for school in district.schools}
    assert min(sizes.values()) > 200
    assert max(sizes.values()) < 2_500


def test_memory_does_not_grow_with_the_district(tmp_path: Path) -> None:
    peaks = []
    for students in ("500", "2000"):
        tracemalloc.start()
        run(tmp_path / students, "--students", students)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + 1_000_000


def test_a_delta_of_the_first_day_is_a_mistake(tmp_path: Path) -> None:
    result = CliRunner().invoke(sample, ["--delta", str(tmp_path)])

    assert result.exit_code == 2
    assert "Use --day 2" in result.output


async def test_every_address_is_one_that_nobody_can_have(inbox: Inbox) -> None:
    found = await tables(inbox, "--students", "60", "--guardians")

    addresses = [cells["email"] for cells in found["users"].values() if cells["email"]]
    assert len(set(addresses)) == len(addresses) > 60
    assert all(address.endswith(".example") for address in addresses)


@pytest.mark.parametrize("form", ["zip", "csv"])
def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path, form: str) -> None:
    (tmp_path / "file").touch()

    result = CliRunner().invoke(sample, ["--format", form, str(tmp_path / "file" / "exports")])

    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "exports: cannot be made or written: Not a directory. Name a folder" in result.output
