"""By a real process: what a destination has is read back, and what differs is said, and put right."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from click.testing import Result
from running import Place, Router, check_destinations, run_command, sampled, through, until

from bus.codec import decode_alert
from bus.jetstream import JetStream

STUDENTS = 60


def edit(place: Place, *statements: str) -> None:
    """What somebody does in the warehouse by hand."""
    with closing(sqlite3.connect(place.state / "warehouse.db")) as warehouse, warehouse:
        for each in statements:
            assert warehouse.execute(each).rowcount > 0, each


async def compared(place: Place, *arguments: str) -> dict[str, Any]:
    found = await run_command(place, "compare", "warehouse", *arguments, "--output", "json")
    assert found.exit_code == 0, found.output
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def counts(answer: dict[str, Any], entity: str = "student") -> dict[str, int]:
    return {what: n for each, what, n in answer["report"]["compared"] if each == entity}


BY_HAND = (
    "UPDATE students SET familyName = 'Edited' WHERE id IN (SELECT id FROM students ORDER BY id LIMIT 3)",
    "UPDATE students SET email = NULL WHERE id = (SELECT min(id) FROM students)",
    "DELETE FROM students WHERE id = (SELECT max(id) FROM students)",
    "INSERT INTO students (id, familyName, _version) VALUES ('zzz', 'Stranger', 1)",
)


async def test_what_was_done_by_hand_is_said_without_a_value_and_put_right(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    package = sampled(tmp_path, students=STUDENTS)
    await through(place, package)
    same = await compared(place)
    edit(place, *BY_HAND)
    found = await compared(place)

    assert set(counts(same)) == {"same"} and len({entity for entity, *_ in same["report"]["compared"]}) > 5
    assert same["report"]["keys"] == {}
    there = counts(same)["same"]
    assert counts(found) == {"same": there - 4, "different": 3, "missing": 1, "unknown here": 1}
    assert found["report"]["fields"]["student"] == {"familyName": 3, "email": 1}
    assert found["report"]["keys"]["unknown here"] == ["student/zzz"]
    assert "Edited" not in json.dumps(found)

    repaired = await compared(place, "--repair", "--why", "somebody edited it by hand")
    edit(place, "DELETE FROM students WHERE id = 'zzz'")  # nobody here has touched it
    check_destinations(place, package)
    assert (repaired["put"], repaired["outcomes"]) == (4, {"delivered": 4})
    assert set(counts(await compared(place))) == {"same"}


async def test_a_repair_beyond_the_limits_waits_for_a_person(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    package = sampled(tmp_path, students=300)
    await through(place, package)
    edit(place, "DELETE FROM students")
    held = await compared(place, "--repair", "--why", "it is empty")
    id_ = held["job"]["id"]

    assert (held["job"]["state"], held["put"]) == ("paused", 0)
    shown: Result = await run_command(place, "replay", "show", id_)
    assert "beyond its limits" in shown.output
    await run_command(place, "replay", "cancel", id_, "--why", "x")


async def test_one_that_cannot_list_says_so(router: Router, place: Place) -> None:
    await router.start()
    found = await run_command(place, "compare", "assessment")

    assert found.exit_code == 1 and "cannot list what it has" in found.output


async def test_a_compare_that_nobody_looks_at_tells_what_differs(
    router: Router, place: Place, tmp_path: Path
) -> None:
    """Its time is the minute that comes: the router of the next start has missed it."""
    await router.start()
    await through(place, sampled(tmp_path, students=STUDENTS))
    edit(place, *BY_HAND)
    router.stop()
    path = place.config / "warehouse.yaml"
    path.write_text(path.read_text().replace("  mode: live", '  mode: live\n  compare: "daily 03:00"'))
    await router.start()
    with closing(sqlite3.connect(place.state / "index.sqlite")) as index:
        await until(lambda: index.execute(DUE).fetchone() is not None)
        router.stop()
        with index:
            index.execute("UPDATE position SET value = 1 WHERE name = 'compared.warehouse'")
    await router.start()
    async with JetStream.connect(place.address) as bus, asyncio.timeout(60):
        while True:
            if alert := await bus.last("ALERTS", "alert.warning.compare-differs.warehouse"):
                break
            await asyncio.sleep(0.1)
    text = decode_alert(alert.body).text
    assert text.startswith("warehouse has not what it was told: 1 missing, 3 different.")


DUE = "SELECT 1 FROM position WHERE name = 'compared.warehouse'"
