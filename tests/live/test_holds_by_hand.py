"""By real processes: a half-empty file is refused; 412 removals are held, and approved in part by command."""

import asyncio
import csv
import io
import json
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner, Result
from running import Place, Router, drop, sampled, streams, through, until

from console.cli import main
from console.client import client

LEAVE: Final = {"o003": 200, "o000": 150, "o001": 62}
"""How many enrollments go at which school: 412, of 576 to 1,372."""
STUDENTS: Final = 600

Cells = dict[str, str]


def edited(package: Path, name: str, keeps: Callable[[str, Cells], bool]) -> Path:
    """A package beside it, without some rows."""
    path = package.with_name(name)
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w") as new:
        for each in old.namelist():
            text = old.read(each).decode("utf-8-sig")
            rows = csv.DictReader(io.StringIO(text, newline=""))
            out = io.StringIO(newline="")
            writer = csv.DictWriter(out, rows.fieldnames or [])
            writer.writeheader()
            writer.writerows(row for row in rows if keeps(each, row))
            new.writestr(each, out.getvalue())
    return path


def thinned(package: Path) -> Path:
    """The package without 412 enrollments at three schools."""
    left = dict(LEAVE)

    def keeps(file: str, row: Cells) -> bool:
        school = row.get("schoolSourcedId", "")
        if file == "enrollments.csv" and left.get(school):
            left[school] -= 1
            return False
        return True

    return edited(package, "oneroster-thinned.zip", keeps)


def halved(package: Path) -> Path:
    """The package with every second row of a table cut off."""
    lines: Counter[str] = Counter()

    def keeps(file: str, row: Cells) -> bool:
        lines[file] += 1
        return file != "enrollments.csv" or lines[file] % 2 == 0

    return edited(package, "oneroster-halved.zip", keeps)


def enrolled(place: Place) -> Counter[str]:
    """Enrollments in the warehouse by school."""
    with closing(sqlite3.connect(place.state / "warehouse.db")) as warehouse:
        rows = warehouse.execute(
            'SELECT "school", count(*) FROM enrollments WHERE deleted_at IS NULL GROUP BY "school"'
        )
        return Counter(dict(rows.fetchall()))


def typed(place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--state", str(place.state)])


async def run(place: Place, *arguments: str) -> Result:
    return await asyncio.to_thread(typed, place, *arguments)


async def says(place: Place, *arguments: str) -> dict[str, Any]:
    result = await run(place, *arguments, "--output", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def read_as(place: Place, name: str, outcome: str) -> dict[str, Any]:
    """Wait until that export has ended so."""
    async with asyncio.timeout(60), client(place.where) as bus:
        while True:
            read = (await bus.ask("status"))["sources"]["sis"]["last_read"]
            if read and (read["name"], read["outcome"]) == (name, outcome):
                found: dict[str, Any] = read
                return found
            await asyncio.sleep(0.05)


async def test_a_half_empty_file_is_refused_and_nothing_is_removed_anywhere(
    router: Router, place: Place, tmp_path: Path
) -> None:
    package = sampled(tmp_path, students=STUDENTS)
    await router.start()
    await through(place, package)
    before, there = await streams(place), enrolled(place)

    drop(place, halved(package))
    read = await read_as(place, "oneroster-halved.zip", "refused")
    after = await streams(place)

    assert "the last good read had" in read["remarks"][0]
    assert (after.events, after.changes) == (before.events, before.changes)
    assert enrolled(place) == there
    assert (await says(place, "holds", "list"))["holds"] == []


async def test_412_removals_at_several_schools_are_held_and_approved_in_part(
    router: Router, place: Place, tmp_path: Path
) -> None:
    package = sampled(tmp_path, students=STUDENTS)
    await router.start()
    await through(place, package)
    there = enrolled(place)
    before = await streams(place)

    drop(place, thinned(package))
    await read_as(place, "oneroster-thinned.zip", "held")
    [hold] = (await says(place, "holds", "list"))["holds"]
    shown = await says(place, "holds", "show", hold["id"], "--names", "--school", "o001")
    table = await run(place, "holds", "show", hold["id"])
    status = await run(place, "status")

    assert hold["counts"] == {"creates": 0, "updates": 0, "removals": 412}
    assert {each["school"]: each["records"] for each in shown["hold"]["cells"]} == LEAVE
    assert len(shown["names"]) == 62 and "1,372" in table.stdout
    assert status.exit_code == 1 and "412 records are held" in status.stdout
    assert (await streams(place)).events == before.events

    # killed and started again: the hold is still there, and one school is let go
    router.kill()
    await router.start()
    without_hash = await run(place, "holds", "approve", hold["id"], "--school", "o001", "--why", "moved")
    part = ["--school", "o001", "--op", "delete", "--hash", hold["hash"], "--why", "the classes were merged"]
    approved = await run(place, "holds", "approve", hold["id"], *part)
    await until(lambda: enrolled(place)["o001"] == there["o001"] - 62)
    again = await run(place, "holds", "approve", hold["id"], *part)

    assert without_hash.exit_code == 1 and f"--hash {hold['hash']}" in without_hash.output
    assert approved.exit_code == 0 and "62 records approved" in approved.stdout, approved.output
    assert "350 records of it wait still" in approved.stdout
    assert again.exit_code == 1 and "nothing of it is meant by that" in again.output
    assert there - enrolled(place) == Counter({"o001": 62})
    assert (await streams(place)).events == before.events + 62

    # what is dropped stays where it is, and there is nothing left to decide
    dropped = await run(place, "holds", "discard", hold["id"], "--why", "the others were a mistake")
    acts = (await says(place, "holds", "show", hold["id"]))["hold"]["acts"]
    nothing = await run(place, "holds", "list")

    assert "350 records discarded. That was all." in dropped.stdout
    assert [(act["what"], act["records"], bool(act["who"])) for act in acts] == [
        ("held", 412, False),
        ("approved", 62, True),
        ("discarded", 350, True),
    ]
    assert "Nothing is held." in nothing.stderr
    assert there - enrolled(place) == Counter({"o001": 62})
    assert (await streams(place)).events == before.events + 62


async def test_a_plan_says_what_a_file_would_do_and_does_nothing(
    router: Router, place: Place, tmp_path: Path
) -> None:
    package = sampled(tmp_path, students=STUDENTS)
    await router.start()
    new = await run(place, "plan", str(package))
    await through(place, package)
    before = await streams(place)
    thin, half = thinned(package), halved(package)

    same = await run(place, "plan", str(package))
    held = await run(place, "plan", str(thin), "--system", "sis")
    listed = await run(place, "plan", str(thin), "--csv")
    cut = await run(place, "plan", str(half))
    edits = await run(place, "plan", str(sampled(tmp_path, students=STUDENTS, day=2)), "--csv")
    after = await streams(place)

    assert new.exit_code == 0 and f"{before.events:,} records would flow, 0 would be held" in new.stderr
    assert same.exit_code == 0 and "0 records would flow, 0 would be held" in same.stderr
    assert held.exit_code == 1 and "0 records would flow, 412 would be held" in held.stderr
    assert "200      200   at most 68 flow by themselves" in held.stdout
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert Counter(row["school"] for row in rows) == LEAVE
    assert {(row["operation"], row["entity"], row["held"]) for row in rows} == {
        ("delete", "enrollment", "limit")
    }
    assert cut.exit_code == 2 and "would be refused whole" in cut.stderr
    assert "the last good read had" in cut.stderr
    fields = {
        row["fields"] for row in csv.DictReader(io.StringIO(edits.stdout)) if row["operation"] == "update"
    }
    assert fields and all(fields)
    assert after == before
    assert [read["number"] for read in (await says(place, "reads"))["reads"]] == [1]
    assert [path.name for path in place.state.glob("plan-*")] == []


async def test_a_plan_of_what_is_no_export_says_so_in_words(
    router: Router, place: Place, tmp_path: Path
) -> None:
    (tmp_path / "notes.zip").write_text("no zip")
    await router.start()

    missing = await run(place, "plan", str(tmp_path / "nowhere.zip"))
    broken = await run(place, "plan", str(tmp_path / "notes.zip"))
    other = await run(place, "plan", str(tmp_path / "notes.zip"), "--system", "warehouse")

    assert missing.exit_code == 1 and "expected a file on the router's own machine" in missing.output
    assert broken.exit_code == 2 and "would be refused whole" in broken.stderr
    assert other.exit_code == 1 and "'warehouse' is no source that reads files" in other.output
