"""By a real router: a table cut between two rows is refused whole, and a file still being copied waits."""

import asyncio
import shutil
import zipfile
from pathlib import Path
from typing import Any

from running import Place, Router, drop, flowed, last_read, rows_of_index, sampled, through, until

from bus.codec import decode_alert, decode_audit
from bus.jetstream import JetStream
from bus.messages import Alert, AuditRecord, Outcome, Step
from console.client import client


def cut(package: Path) -> Path:
    """The package with the last two fifths of the rows of users.csv gone, each row that is left whole."""
    path = package.with_name("oneroster-cut.zip")
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            lines = old.read(name).splitlines(keepends=True)
            new.writestr(name, b"".join(lines[: len(lines) * 3 // 5] if name == "users.csv" else lines))
    return path


async def told(place: Place) -> tuple[list[AuditRecord], list[Alert]]:
    """What is audited of reads, and the alerts."""
    async with JetStream.connect(place.address) as bus:
        reads = [
            record
            async for page in bus.read("AUDIT", subject="audit.read.>")
            for stored in page
            for record in decode_audit(stored.body)
        ]
        alerts = [decode_alert(stored.body) async for page in bus.read("ALERTS") for stored in page]
    return reads, alerts


async def newest_read(place: Place) -> dict[str, Any]:
    async with client(place.where) as bus:
        found: dict[str, Any] = (await bus.ask("reads", {"system": "sis"}))["reads"][0]
        return found


async def test_users_cut_between_two_rows_are_refused_whole_and_removed_nowhere(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    await through(place, package := sampled(tmp_path))
    tables = ("orgs", "students", "staff", "guardians", "enrollments")
    there = rows_of_index(place.state / "warehouse.db", *tables)
    refused = place.state / "sis" / "refused"

    drop(place, cut(package))
    await until(lambda: (refused / "oneroster-cut.zip.report.txt").exists())
    read = await newest_read(place)
    reads, alerts = await told(place)

    assert (read["name"], read["outcome"]) == ("oneroster-cut.zip", "refused")
    assert (refused / "oneroster-cut.zip").exists()
    assert "runbooks/refused-file.md" in (refused / "oneroster-cut.zip.report.txt").read_text()
    assert (reads[-1].step, reads[-1].outcome, reads[-1].reason) == (
        Step.READ,
        Outcome.REFUSED,
        "looks-truncated",
    )
    assert [alert.kind for alert in alerts if alert.system == "sis"] == ["refused-file"]
    assert rows_of_index(place.state / "warehouse.db", *tables) == there


async def test_a_file_that_is_copied_slowly_waits_and_is_read_once_it_is_whole(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    package = sampled(tmp_path)
    half = package.read_bytes()[: package.stat().st_size // 2]
    growing = place.state / "sis" / package.name
    growing.write_bytes(half)

    async with client(place.where) as bus, asyncio.timeout(60):
        while (read := await bus.ask("reads", {"system": "sis"}))["reads"] == []:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.05)
        after = await last_read(bus)
        shutil.copyfile(package, growing)
        growing.with_name(f"{package.name}.done").touch()
        flow = await flowed(bus, after)

    assert [each["outcome"] for each in read["reads"]] == ["waiting"]
    assert flow.read is not None
    assert (flow.read["outcome"], flow.read["number"]) == ("accepted", 1)
    assert not (place.state / "sis" / "refused").exists()
