"""By real processes and commands: what a destination missed, or lost, is brought to it, and nothing twice."""

import asyncio
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from running import (
    Place,
    Router,
    check_destinations,
    run_command,
    sampled,
    through,
)

from bus.codec import decode_audit
from bus.jetstream import JetStream
from bus.messages import AuditRecord
from console.client import client

STUDENTS = 60


async def replay(place: Place, *arguments: str) -> str:
    """Start a replay of all that was; the id of its job."""
    told = ("--to", "warehouse", "--since", "1h", "--yes", "--why", "the vendor restored a backup")
    result = await run_command(place, "replay", *told, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1].partition(" ")[0]


async def job(place: Place, id_: str) -> dict[str, Any]:
    async with client(place.where) as bus:
        return await bus.ask("replay.show", {"id": id_})


async def seen(place: Place, id_: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the job is so."""
    async with asyncio.timeout(60):
        while True:
            if true(found := await job(place, id_)):
                return found
            await asyncio.sleep(0.02)


async def ended(place: Place, id_: str) -> dict[str, Any]:
    return await seen(place, id_, lambda found: found["job"]["state"] == "done")


async def audited(place: Place, step: str) -> list[AuditRecord]:
    """What AUDIT has of a step, each record once."""
    found: dict[str, AuditRecord] = {}
    async with JetStream.connect(place.address) as bus:
        async for page in bus.read("AUDIT", subject=f"audit.{step}.>"):
            for stored in page:
                found |= {each.id: each for each in decode_audit(stored.body)}
    return list(found.values())


def backup(place: Place) -> Path:
    """A copy of the warehouse, as its people make one at night."""
    path = place.state.parent / "backup.db"
    with (
        closing(sqlite3.connect(place.state / "warehouse.db")) as now,
        closing(sqlite3.connect(path)) as copy,
    ):
        now.backup(copy)
    return path


def restore(place: Place, path: Path) -> None:
    part = place.state / "warehouse.part"
    shutil.copyfile(path, part)
    for suffix in ("-wal", "-shm"):
        (place.state / f"warehouse.db{suffix}").unlink(missing_ok=True)
    part.replace(place.state / "warehouse.db")


def rows(place: Place) -> int:
    """How many live rows all tables have."""
    with closing(sqlite3.connect(place.state / "warehouse.db")) as warehouse:
        tables = warehouse.execute(
            "SELECT name FROM sqlite_master m WHERE type = 'table'"
            " AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'deleted_at')"
        ).fetchall()
        counts = [
            warehouse.execute(f'SELECT count(*) FROM "{table}" WHERE deleted_at IS NULL').fetchone()[0]
            for (table,) in tables
        ]
        return sum(counts)


async def test_what_a_restored_backup_has_lost_is_brought_again_and_nothing_twice(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    await through(place, sampled(tmp_path, students=STUDENTS))
    last_night = backup(place)
    package = sampled(tmp_path, students=STUDENTS, day=2)
    await through(place, package)
    restore(place, last_night)
    with pytest.raises(AssertionError):
        check_destinations(place, package)

    first = await run_command(place, "replay", "--to", "warehouse", "--since", "1h", "--yes", "--why", "x")
    assert "0 to send" in first.output and "Was warehouse restored from a backup since?" in first.output
    id_ = await replay(place, "--force")
    found = await ended(place, id_)

    check_destinations(place, package)
    puts = [each for each in await audited(place, "put") if each.id.endswith(f"/{id_}")]
    assert max(Counter(each.key for each in puts).values()) == 1
    assert len(puts) == found["put"] == found["records"] == sum(found["outcomes"].values())
    told = [(each.outcome, each.who) for each in await audited(place, "replay") if each.who]
    assert [outcome for outcome, _ in told] == ["accepted"]
    assert f"{id_}  to warehouse  done" in (await run_command(place, "replay", "show", id_)).stdout


async def test_a_replay_that_is_killed_goes_on_where_it_was_and_puts_each_record_once(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    package = sampled(tmp_path, students=STUDENTS)
    await through(place, package)
    (place.state / "warehouse.db").rename(place.state / "lost.db")
    id_ = await replay(place, "--force", "--rate", "400/s")
    part = await seen(place, id_, lambda found: found["put"] > 0)
    router.kill()
    await router.start()
    found = await ended(place, id_)

    assert part["put"] < found["records"]
    check_destinations(place, package)
    puts = Counter(each.key for each in await audited(place, "put") if each.id.endswith(f"/{id_}"))
    assert len(puts) == found["records"] and set(puts.values()) == {1}


async def test_what_a_replay_brings_and_what_is_new_go_together(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    await through(place, sampled(tmp_path, students=STUDENTS))
    (place.state / "warehouse.db").rename(place.state / "lost.db")
    id_ = await replay(place, "--force", "--rate", "2000/s")
    package = sampled(tmp_path, students=STUDENTS, day=2)
    await through(place, package)
    await ended(place, id_)

    check_destinations(place, package)
    deliveries = Counter(
        (each.key, each.rev) for each in await audited(place, "delivery") if each.destination == "warehouse"
    )
    assert set(deliveries.values()) == {1}


async def test_a_job_is_paused_resumed_and_cancelled_by_command(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    await through(place, sampled(tmp_path, students=STUDENTS))
    id_ = await replay(place, "--force", "--rate", "1/s")
    assert (await run_command(place, "replay", "pause", id_, "--why", "they work on it")).exit_code == 0
    paused = (await job(place, id_))["put"]
    again = await run_command(
        place, "replay", "--to", "warehouse", "--since", "1h", "--force", "--yes", "--why", "x"
    )
    router.stop()
    await router.start()
    assert (await job(place, id_))["job"]["state"] == "paused"
    await run_command(place, "replay", "resume", id_, "--why", "they are done")
    await seen(place, id_, lambda found: found["put"] > paused)
    cancelled = await run_command(place, "replay", "cancel", id_, "--why", "it was the wrong one")
    late = await run_command(place, "replay", "resume", id_, "--why", "x")

    assert again.exit_code == 1 and f"{id_}" in again.output and "one job at a time" in again.output
    assert f"{id_}  to warehouse  cancelled" in cancelled.stdout
    assert late.exit_code == 1 and "it is cancelled" in late.output
    listed = json.loads((await run_command(place, "replay", "list", "--output", "json")).stdout)
    assert [each["job"]["state"] for each in listed["jobs"]] == ["cancelled"]
    acts = [each for each in await audited(place, "replay") if each.who]
    assert [each.outcome for each in acts] == ["accepted", "paused", "accepted", "discarded"]
    assert acts[-1].reason == "cancelled: it was the wrong one"


async def test_nothing_starts_before_a_person_has_said_yes_and_why(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    await through(place, sampled(tmp_path, students=10))
    wanted = ("replay", "--to", "warehouse", "--since", "1h", "--force")
    dry = await run_command(place, *wanted, "--dry-run")
    no = await run_command(place, *wanted, answers="n\n")
    wrong = await run_command(place, *wanted, "--yes")
    yes = await run_command(place, *wanted, answers="y\nthe disk broke\n")

    assert dry.exit_code == 0 and " to send" in dry.output
    assert no.exit_code == 1 and wrong.exit_code == 1 and "--why" in wrong.output
    assert yes.exit_code == 0 and "replay.1 has begun" in yes.output
    assert (await ended(place, "replay.1"))["job"]["why"] == "the disk broke"


async def test_a_backfill_brings_all_that_there_is_to_one_that_has_lost_it(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    package = sampled(tmp_path, students=STUDENTS)
    await through(place, package)
    (place.state / "warehouse.db").rename(place.state / "lost.db")
    nothing = await run_command(place, "backfill", "warehouse", "--yes", "--why", "x")
    begun = await run_command(place, "backfill", "warehouse", "--force", "--yes", "--why", "the disk broke")

    assert "0 to send" in nothing.output and "backfill.1 has begun" in begun.output
    found = await ended(place, "backfill.1")
    check_destinations(place, package)
    assert found["records"] == rows(place) == found["outcomes"]["delivered"]


async def test_a_file_that_its_reader_has_lost_is_written_again(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    package = sampled(tmp_path, students=STUDENTS)
    await through(place, package)
    for path in (place.state / "assessment").iterdir():
        path.unlink()
    told = ("--to", "assessment", "--since", "1h", "--force", "--yes", "--why", "they have lost the file")
    begun = await run_command(place, "replay", *told)
    await ended(place, begun.stdout.splitlines()[-1].partition(" ")[0])

    check_destinations(place, package)
