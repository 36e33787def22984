"""What a system refuses for good is listed with its reason, sent again when that is mended, or let be; by
real processes.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from running import Place, Router, run_command, sampled, through

from bus.codec import decode_audit, unpack
from bus.jetstream import JetStream
from bus.messages import AuditRecord, Outcome, Step
from console.client import client


def warehouse(place: Place, sql: str) -> None:
    """Somebody works in the warehouse."""
    with closing(sqlite3.connect(place.state / "warehouse.db", timeout=10)) as there:
        there.executescript(sql)


async def refused(router: Router, place: Place, tmp_path: Path) -> list[dict[str, Any]]:
    """A second day's edits of students, to a warehouse that takes none of them."""
    await router.start()
    await through(place, sampled(tmp_path, students=40))
    refuses = "BEGIN SELECT RAISE(ABORT, 'not now'); END;"
    warehouse(place, f"CREATE TRIGGER closed BEFORE UPDATE ON students {refuses}")
    await through(place, sampled(tmp_path, students=40, day=2))
    found = await listed(place)
    assert found
    return found


async def says(place: Place, *arguments: str) -> dict[str, Any]:
    result = await run_command(place, *arguments, "--output", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def listed(place: Place, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await says(place, "failed", "list", *arguments))["failed"]
    return found


async def failed_count(place: Place) -> int:
    async with client(place.where) as bus:
        status = await bus.ask("status")
    return int(status["destinations"]["warehouse"]["failed"])


async def audited(place: Place) -> list[AuditRecord]:
    async with JetStream.connect(place.address) as bus:
        pages = [page async for page in bus.read("AUDIT")]
    return [record for page in pages for stored in page for record in decode_audit(stored.body)]


async def told_on_state(place: Place) -> list[dict[str, Any]]:
    async with JetStream.connect(place.address) as bus:
        return [
            unpack(each.body) async for page in bus.read("STATE", subject="state.dead.>") for each in page
        ]


async def test_dead_letters_are_listed_with_their_reasons_and_sent_again_when_these_are_mended(
    router: Router, place: Place, tmp_path: Path
) -> None:
    letters = await refused(router, place, tmp_path)
    keys = {each["key"] for each in letters}
    one = letters[0]["key"]

    # What was refused, and why; by filters too.
    assert len(keys) == len(letters) == await failed_count(place)
    assert {(each["destination"], each["attempts"]) for each in letters} == {("warehouse", 1)}
    assert all("not now" in each["reason"] for each in letters)
    assert len(await listed(place, "--reason", "not now", "--entity", "student", "--since", "1h")) == len(
        keys
    )
    assert await listed(place, "--reason", "something else") == []
    shown = await says(place, "failed", "show", "warehouse", one)
    assert {"givenName", "familyName"} <= set(shown["fields"])

    assert await says(place, "failed", "show", shown["id"]) == shown
    assert shown["runbook"] == "dead-letters"
    unknown = await run_command(place, "failed", "show", "warehouse@1.0")
    assert unknown.exit_code == 1 and "no dead letter of that id is open" in unknown.output

    # Not mended: it is refused again, and stays.
    again = await run_command(place, "failed", "retry", shown["id"], "--why", "try it")
    assert again.exit_code == 0, again.output
    await flown(place)
    assert {each["key"] for each in await listed(place)} == keys

    # Which, and may we?
    assert (await run_command(place, "failed", "retry", "--why", "x")).exit_code == 2
    assert (await run_command(place, "failed", "retry", "warehouse", "--why", "x")).exit_code == 2
    asked = await run_command(place, "failed", "retry", "--to", "warehouse", "--why", "x", answers="n\n")
    assert asked.exit_code == 1 and "Go on?" in asked.output

    warehouse(place, "DROP TRIGGER closed")
    done = await run_command(place, "failed", "retry", "--to", "warehouse", "--yes", "--why", "it is open")
    assert done.exit_code == 0 and f"{len(keys)} records on the way again" in done.output
    await flown(place)

    assert (await listed(place), await failed_count(place)) == ([], 0)
    settled = await audited(place)
    puts = [each for each in settled if each.step is Step.PUT and each.outcome is Outcome.DELIVERED]
    assert {each.key for each in puts} == keys
    assert {each.reason for each in puts} == {"its dead letter is resolved"}
    assert {each["key"] for each in await told_on_state(place)} == keys
    acts = [each for each in settled if each.step is Step.OPERATOR]
    assert len(acts) == len(keys) + 1 and all(each.who and each.reason for each in acts)


async def test_what_is_let_be_stays_so_over_a_kill_and_a_rebuild_until_the_records_next_change(
    router: Router, place: Place, tmp_path: Path
) -> None:
    letters = await refused(router, place, tmp_path)

    done = await run_command(place, "failed", "discard", letters[0]["id"], "--why", "they never want these")
    assert done.exit_code == 0 and "1 record let be" in done.output
    assert letters[0]["key"] not in {each["key"] for each in await listed(place)}
    done = await run_command(place, "failed", "discard", "--all", "--yes", "--why", "they never want these")
    assert done.exit_code == 0 and f"{len(letters) - 1} records let be" in done.output
    assert (await listed(place), await failed_count(place)) == ([], 0)
    facts = await told_on_state(place)
    assert {(each["resolved"], each["why"]) for each in facts} == {("discarded", "they never want these")}

    router.kill()
    await router.start()
    assert await listed(place) == []
    router.stop()
    rebuilt = await run_command(place, "rebuild", "--config", str(place.config))
    assert rebuilt.exit_code == 0, rebuilt.output
    await router.start()
    await flown(place)

    assert await listed(place) == []
    for each in letters:  # what it had before is there yet, and has to go with the record one day
        explained = await says(place, "explain", each["key"])
        assert explained["systems"]["warehouse"]["is_there"]
    settled = await audited(place)
    acts = [each for each in settled if each.step is Step.OPERATOR]
    assert {each.key for each in acts} == {each["key"] for each in letters}
    assert {each.reason for each in acts} == {"discarded: they never want these"} and all(e.who for e in acts)
    let_be = [each for each in settled if each.outcome is Outcome.DISCARDED]
    assert {each.key for each in let_be} == {each["key"] for each in letters}


async def flown(place: Place) -> None:
    """All that is on a work list is settled."""

    async def waiting() -> int:
        async with client(place.where) as bus:
            status = await bus.ask("status")
        return sum(each["waiting"] for each in status["destinations"].values()) + status["outbox"]

    for _ in range(400):
        if not await waiting():
            return
    raise AssertionError("something waits")
