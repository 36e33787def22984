"""By a real process, at a database that refuses a wrong order: what refers to a record goes before it."""

import csv
import io
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from running import Place, Router, lay_out, run_command, sampled, through

STUDENTS = 60
LEFT_MAX = 5
Row = dict[str, str]
Edit = Callable[[str, Row], Row]
"""From a file's name and a row to the row as it is afterwards."""

KEEPS_ITS_ORDER = """
    CREATE TRIGGER no_{0} BEFORE DELETE ON students
    WHEN EXISTS (SELECT 1 FROM {0} WHERE {1} = OLD.id)
    BEGIN SELECT RAISE(ABORT, 'something refers to it'); END
"""
NOTHING_MISSING = """
    CREATE TRIGGER {0}_of_{2} BEFORE INSERT ON {0} WHEN NOT EXISTS (
        SELECT 1 FROM students WHERE id = NEW.{1} UNION SELECT 1 FROM staff WHERE id = NEW.{1})
    BEGIN SELECT RAISE(ABORT, 'it refers to nothing'); END
"""
REFERRING = (("enrollments", "user"), ("demographics", "student"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = lay_out(tmp_path)
    file = place.config / "warehouse.yaml"
    text = file.read_text()
    assert "      table: students\n" in text
    file.write_text(text.replace("      table: students\n", "      table: students\n      when: enabled\n"))
    return place


def edited(package: Path, name: str, edit: Edit) -> Path:
    """The package as the SIS would write it after that."""
    path = package.with_name(name)
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w") as new:
        for each in old.namelist():
            reader = csv.DictReader(io.StringIO(old.read(each).decode("utf-8-sig"), newline=""))
            out = io.StringIO(newline="")
            writer = csv.DictWriter(out, reader.fieldnames or ())
            writer.writeheader()
            writer.writerows([edit(each, row) for row in reader])
            new.writestr(each, out.getvalue())
    return path


def query(place: Place, sql: str) -> list[str]:
    with closing(sqlite3.connect(place.state / "warehouse.db")) as warehouse, warehouse:
        return [str(each) for (each,) in warehouse.execute(sql)]


def guard(place: Place) -> None:
    """From now on the warehouse takes no row without what it refers to, and lets no such row become one."""
    with closing(sqlite3.connect(place.state / "warehouse.db")) as warehouse, warehouse:
        for table, column in REFERRING:
            warehouse.execute(KEEPS_ITS_ORDER.format(table, column))
            warehouse.execute(NOTHING_MISSING.format(table, column, column))


def referring(place: Place, ids: list[str]) -> list[str]:
    """What refers to these students."""
    named = ", ".join(f"'{each}'" for each in ids)
    parts = [f"SELECT id FROM {table} WHERE {column} IN ({named})" for table, column in REFERRING]
    return sorted(query(place, " UNION ALL ".join(parts)))


async def failed(place: Place) -> str:
    found = await run_command(place, "failed", "list")
    assert found.exit_code == 0, found.output
    return found.stdout


async def test_what_refers_to_a_student_who_matches_no_more_follows_away_and_back(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    package = sampled(tmp_path, students=STUDENTS)
    await through(place, package)
    guard(place)
    off = query(place, f"SELECT id FROM students ORDER BY id LIMIT {LEFT_MAX}")
    before = referring(place, off)
    assert len(before) > LEFT_MAX

    def disabled(name: str, row: Row) -> Row:
        return {**row, "enabledUser": "false"} if row.get("sourcedId") in off and name == "users.csv" else row

    await through(place, edited(package, "disabled.zip", disabled))
    assert "warehouse" not in await failed(place)
    assert set(off).isdisjoint(query(place, "SELECT id FROM students"))
    assert referring(place, off) == []

    await through(place, edited(package, "again.zip", lambda name, row: row))
    assert "warehouse" not in await failed(place)
    assert referring(place, off) == before
