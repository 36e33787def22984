"""12, by real processes: the SIS has given all students other ids; a person looks, and approves."""

import asyncio
import csv
import io
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from running import Place, Router, drop, lay_out, sampled, streams, through, until

from bus.messages import Outcome
from console.cli import main
from console.client import client

MATCH = {
    "student": "\nmatch:\n  - [username]\n  - [givenName, familyName]\n",
    "demographics": "\nidentity: [student]\n",
}


def typed(place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--state", str(place.state)])


async def says(place: Place, *arguments: str) -> dict[str, Any]:
    result = await asyncio.to_thread(typed, place, *arguments, "--output", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def renumbered(package: Path) -> Path:
    """The package with another id for each student, wherever one is named."""
    path = package.with_name("oneroster-renumbered.zip")
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w") as new:
        text = old.read("users.csv").decode("utf-8-sig")
        ids = {
            row["sourcedId"]
            for row in csv.DictReader(io.StringIO(text, newline=""))
            if row["role"] == "student"
        }
        for name in old.namelist():
            rows = csv.reader(io.StringIO(old.read(name).decode("utf-8-sig"), newline=""))
            out = io.StringIO(newline="")
            writer = csv.writer(out)
            for row in rows:
                writer.writerow(
                    [",".join(f"new-{x}" if x in ids else x for x in cell.split(",")) for cell in row]
                )
            new.writestr(name, out.getvalue())
    return path


def there(place: Place) -> dict[str, list[tuple[Any, ...]]]:
    """All that the warehouse has."""
    connection = sqlite3.connect(place.state / "warehouse.db")
    try:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}
    finally:
        connection.close()


async def read_is(place: Place, outcome: str) -> None:
    """Wait until the newest read has ended so."""
    async with asyncio.timeout(60), client(place.where) as bus:
        while True:
            read = (await bus.ask("status"))["sources"]["sis"]["last_read"]
            if read["name"] == "oneroster-renumbered.zip" and read["outcome"] == outcome:
                return
            await asyncio.sleep(0.05)


async def decided(place: Place, events: int) -> None:
    """Wait until the index is that far."""
    async with asyncio.timeout(20), client(place.where) as bus:
        while True:
            if (await bus.ask("status"))["events"] >= events:
                return
            await asyncio.sleep(0.05)


async def test_students_with_other_ids_stay_who_they_are_everywhere(tmp_path: Path) -> None:
    place = lay_out(tmp_path)
    for entity, lines in MATCH.items():
        file = place.config / "entities" / f"{entity}.yaml"
        file.write_text(file.read_text() + lines)
    package = sampled(tmp_path, students=30)
    with Router(place) as router:
        await router.start()
        await through(place, package)
        before, rows = await streams(place), there(place)
        drop(place, renumbered(package))
        await read_is(place, "held")

        (hold,) = (await says(place, "holds", "list"))["holds"]
        assert hold["counts"] == {"creates": 0, "updates": 0, "removals": 0, "other ids": 60}
        assert hold["reasons"] == ["re-key"]
        assert (await streams(place)).events == before.events
        router.kill()
        await router.start()
        why = ("--why", "the new SIS numbers them anew")
        approved = await asyncio.to_thread(typed, place, "holds", "approve", hold["id"], *why)
        assert approved.exit_code == 0, approved.output
        await read_is(place, "accepted")
        events = (await streams(place)).events

        def is_decided() -> bool:
            connection = sqlite3.connect(place.state / "index.sqlite")
            try:
                (count,) = connection.execute(
                    "SELECT count(*) FROM link WHERE local_id LIKE 'new-%'"
                ).fetchone()
                return bool(count >= 60)
            finally:
                connection.close()

        await until(is_decided)
        await decided(place, events)
        after = await streams(place)

    done = [each for each in after.delivered[len(before.delivered) :] if each.outcome is Outcome.DELIVERED]
    assert [(each.key, each.op) for each in done if each.op != "update"] == []
    assert there(place) == rows
    assert {each.outcome for each in after.settled[before.events :]} <= {Outcome.ACCEPTED, Outcome.UNCHANGED}
