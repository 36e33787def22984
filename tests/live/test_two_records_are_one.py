"""Merge, explain, rebuild and split by real processes: what a person types, and what systems have then."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from running import Place, Router, lay_out, rows_of_index, sampled, through, until

from console.cli import main

WHY = ("--why", "one person, two schools")


def run(place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--state", str(place.state)])


async def typed(place: Place, *arguments: str) -> str:
    result = await asyncio.to_thread(run, place, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


async def explained(place: Place, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await typed(place, "explain", name, "--output", "json"))
    return found


def users(place: Place) -> dict[str, set[str]]:
    """By student who is there the warehouse's enrollments of that one."""
    connection = sqlite3.connect(place.state / "warehouse.db")
    try:
        there = connection.execute("SELECT id FROM students WHERE deleted_at IS NULL").fetchall()
        pairs = connection.execute("SELECT user, id FROM enrollments WHERE deleted_at IS NULL").fetchall()
        return {id_: {enrollment for user, enrollment in pairs if user == id_} for (id_,) in there}
    finally:
        connection.close()


async def test_two_records_are_made_one_found_again_and_taken_apart(tmp_path: Path) -> None:
    place = lay_out(tmp_path)
    with Router(place) as router:
        await router.start()
        await through(place, sampled(tmp_path, students=20))
        before = users(place)
        one, two = sorted(before)[:2]
        stays, leaves = f"student/{one}", f"student/{two}"
        assert before[two]

        refused = await asyncio.to_thread(run, place, "records", "merge", stays, f"org/{one}", *WHY)
        assert refused.exit_code == 1
        assert "there is no such record" in refused.output
        assert f"{leaves} is one with {stays}" in await typed(place, "records", "merge", stays, leaves, *WHY)
        await until(lambda: two not in users(place))
        await until(lambda: users(place)[one] == before[one] | before[two])
        assert (await explained(place, leaves))["key"] == stays
        assert stays in (await explained(place, f"sis:{two}"))["hits"]
        assert (await explained(place, stays))["one_with"] == [leaves]
        again = await asyncio.to_thread(run, place, "records", "merge", stays, leaves, *WHY)
        assert f"it is one with {stays}" in again.output
        router.stop()

        index = place.state / "index.sqlite"
        lost = rows_of_index(index, "link", "matching", "record")
        index.unlink()
        rebuilt = await asyncio.to_thread(CliRunner().invoke, main, ["rebuild", *place.arguments])
        assert rebuilt.exit_code == 0, rebuilt.output
        assert rows_of_index(index, "link", "matching", "record") == lost

        await router.start()
        assert "a record of its own again" in await typed(place, "records", "split", leaves, *WHY)
        await until(lambda: users(place) == before)
        assert (await explained(place, leaves))["key"] == leaves
