"""Rules of a destination that change: what that reaches today, and what a person can do for the rest."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner
from running import Place, flowed, lay_out, router_here, sampled, through, until

from console.cli import main
from console.client import client

MAPPED = "        familyName: familyName\n"
SHOUTED = "        familyName: familyName.upperAscii()\n"
ORG = """\
    org:
      table: orgs
      fields:
        name: name
        type: type
        identifier: identifier
        parent: parent

"""


def edit(place: Place, old: str, new: str) -> None:
    path = place.config / "warehouse.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def rows(place: Place, sql: str) -> list[Any]:
    warehouse = sqlite3.connect(place.state / "warehouse.db")
    try:
        return [row[0] for row in warehouse.execute(sql)]
    finally:
        warehouse.close()


def has_orgs(place: Place) -> bool:
    there = rows(place, "SELECT 1 FROM sqlite_master WHERE name = 'orgs'")
    return bool(there and rows(place, "SELECT name FROM orgs"))


def shouted(place: Place) -> Callable[[], bool]:
    def true() -> bool:
        names = rows(place, "SELECT familyName FROM students WHERE deleted_at IS NULL")
        return len(names) == 10 and all(name.isupper() for name in names)

    return true


async def test_a_destination_under_a_new_name_gets_all_records_by_a_backfill_by_the_rules_of_now(
    tmp_path: Any,
) -> None:
    place = lay_out(tmp_path)
    async with router_here(place):
        await through(place, sampled(tmp_path, students=10))
    edit(place, MAPPED, SHOUTED)

    async with router_here(place), client(place.where) as bus:
        await flowed(bus, 0)
        assert not shouted(place)()  # what it has stays as it was, until its next change
    edit(place, "system: warehouse", "system: warehouse2")
    async with router_here(place), client(place.where) as bus:
        await flowed(bus, 0)
        assert not shouted(place)()  # it is told of what changes from now on
        assert (await bus.ask("status"))["destinations"]["warehouse2"]["backfill_offered"]
        assert (await bus.ask("backfill.preview", {"system": "warehouse2"}))["counts"]["send"] > 100
        await bus.ask("backfill.start", {"system": "warehouse2", "why": "it is new"})
        assert not (await bus.ask("status"))["destinations"]["warehouse2"]["backfill_offered"]
        await until(shouted(place))


async def test_records_of_a_new_entity_are_brought_by_a_rebuild(tmp_path: Any) -> None:
    place = lay_out(tmp_path)
    edit(place, ORG, "")
    async with router_here(place):
        await through(place, sampled(tmp_path, students=10))
    edit(place, "  entities:\n", f"  entities:\n{ORG}")

    async with router_here(place), client(place.where) as bus:
        await flowed(bus, 0)
        assert not has_orgs(place)
    output = await asyncio.to_thread(CliRunner().invoke, main, ["rebuild", *place.arguments])

    assert output.exit_code == 0 and " 0 deliveries are to do" not in output.output
    async with router_here(place):
        await until(lambda: has_orgs(place))
