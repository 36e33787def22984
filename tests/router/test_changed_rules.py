"""Rules of a destination that change reach what it has; one that is added gets the rest by a backfill."""

import sqlite3
from collections.abc import Callable
from typing import Any

from running import Place, flowed, lay_out, router_here, sampled, through, until

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


async def test_an_edited_mapping_reaches_what_is_there_already(tmp_path: Any) -> None:
    place = lay_out(tmp_path)
    async with router_here(place), client(place.where) as bus:
        await through(place, sampled(tmp_path, students=10))
        assert (await bus.ask("replay.list"))["jobs"] == []
    edit(place, MAPPED, SHOUTED)

    async with router_here(place), client(place.where) as bus:
        await until(shouted(place))
        [job] = (await bus.ask("replay.list"))["jobs"]

    assert (job["job"]["id"], job["job"]["why"]) == ("rules.1", "its file has been edited")


async def test_records_of_a_new_entity_are_brought(tmp_path: Any) -> None:
    place = lay_out(tmp_path)
    edit(place, ORG, "")
    async with router_here(place):
        await through(place, sampled(tmp_path, students=10))
    edit(place, "  entities:\n", f"  entities:\n{ORG}")

    async with router_here(place):
        await until(lambda: has_orgs(place))


async def test_a_destination_under_a_new_name_gets_all_records_by_a_backfill(tmp_path: Any) -> None:
    place = lay_out(tmp_path)
    edit(place, MAPPED, SHOUTED)
    edit(place, "system: warehouse", "system: another")
    async with router_here(place):
        await through(place, sampled(tmp_path, students=10))
    (place.state / "warehouse.db").unlink()
    edit(place, "system: another", "system: warehouse2")
    async with router_here(place), client(place.where) as bus:
        await flowed(bus, 0)
        assert not (place.state / "warehouse.db").exists()  # it is told of what changes from now on
        assert (await bus.ask("status"))["destinations"]["warehouse2"]["backfill_offered"]
        assert (await bus.ask("backfill.preview", {"system": "warehouse2"}))["counts"]["send"] > 100
        await bus.ask("backfill.start", {"system": "warehouse2", "why": "it is new"})
        assert not (await bus.ask("status"))["destinations"]["warehouse2"]["backfill_offered"]
        await until(lambda: (place.state / "warehouse.db").exists() and has_orgs(place) and shouted(place)())
