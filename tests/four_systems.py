"""A district of four systems by real processes: its router, SIS folder, identity provider, LMS and warehouse.

The configuration is the example's, at a pace for tests.
"""

import asyncio
import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standin_lms
from click.testing import CliRunner, Result
from conformance.scim_server import TOKEN, accounts, call, scim_server
from running import Place, Router, copy_example, sampled, through
from standin_lms import StandIn
from webhook_sender import free_port

from bus.codec import decode_alert, decode_audit
from bus.jetstream import JetStream
from bus.messages import Alert, AuditRecord
from console.cli import main
from console.cli.flow import under_way
from console.cli.ground import FOLDERS
from console.client import Client, client

Cells = dict[str, str]

YEAR, OVER, TO_COME = "y2026", "y2026-1", "y2026-2"
"""Terms of the invented district. Homerooms are in the year's, all other classes in the other two."""


class Export:
    """What the SIS has, and writes into a package whenever it is asked: OneRoster 1.1, all of it."""

    def __init__(self, folder: Path, *, students: int) -> None:
        """With terms around today: the year's is on, one is over, one is to come."""
        self._folder = folder
        self._number = 0
        with zipfile.ZipFile(sampled(folder / "sample", students=students)) as archive:
            texts = {name: archive.read(name).decode("utf-8-sig") for name in archive.namelist()}
        self._manifest = texts.pop("manifest.csv")
        self.tables: dict[str, list[Cells]] = {
            name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(text, newline="")))
            for name, text in texts.items()
        }
        for term, first, last in ((YEAR, -60, 60), (OVER, -60, -2), (TO_COME, 2, 60)):
            self.edit("academicSessions", term, startDate=day(first), endDate=day(last))

    def row(self, table: str, id_: str) -> Cells:
        return next(row for row in self.tables[table] if row["sourcedId"] == id_)

    def edit(self, table: str, id_: str, **cells: str) -> None:
        """A clerk types something else."""
        assert set(cells) <= set(self.row(table, id_))
        self.row(table, id_).update(cells)

    def students(self) -> list[str]:
        return [row["sourcedId"] for row in self.tables["users"] if row["role"] == "student"]

    def enrollments(self, *, homeroom: bool) -> list[str]:
        """Of students."""
        rows = {row["sourcedId"]: row for row in self.tables["classes"]}
        return [
            row["sourcedId"]
            for row in self.tables["enrollments"]
            if row["role"] == "student"
            and (rows[row["classSourcedId"]]["classType"] == "homeroom") is homeroom
        ]

    def written(self) -> Path:
        self._number += 1
        path = self._folder / f"export-{self._number:03d}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("manifest.csv", self._manifest)
            for name, rows in self.tables.items():
                out = io.StringIO(newline="")
                writer = csv.DictWriter(out, list(rows[0]), lineterminator="\r\n")
                writer.writeheader()
                writer.writerows(rows)
                archive.writestr(f"{name}.csv", out.getvalue())
        return path


def day(days: int) -> str:
    """So many days from today."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


class Four:
    """The processes, what people do there, and what each system has."""

    def __init__(self, place: Place, router: Router, lms: StandIn, export: Export, scim: str) -> None:
        self.place = place
        self.router = router
        self.lms = lms
        self.export = export
        self.scim = scim

    # -- what happens

    async def sis_exports(self) -> None:
        """The SIS writes its export, and all that follows from it has arrived."""
        await through(self.place, self.export.written())
        await self.quiet()

    async def teach(self, table: str, id_: str, **edits: str) -> None:
        """A teacher edits, and all that follows from it has arrived."""
        await self.lms.teach(table, id_, **edits)
        await self.quiet()

    async def idp_edits(self, id_: str, **attributes: object) -> None:
        """Somebody edits an account, it has been looked at, and all that follows from it has arrived."""
        operations = [{"op": "replace", "path": path, "value": value} for path, value in attributes.items()]
        schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
        body = {"schemas": [schema], "Operations": operations}
        call(f"{self.scim}/Users/{self.account(id_)['id']}", "PATCH", body)
        await self.polled()

    async def polled(self) -> None:
        """Wait for a look at the accounts that began after now, and all that follows from it."""
        async with client(self.place.where) as bus:
            first = await _looks(bus)
            async with asyncio.timeout(20):
                while await _looks(bus) < first + 2:  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.05)
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until nothing is under way: every webhook is taken, every event decided and delivered."""
        async with client(self.place.where) as bus, JetStream.connect(self.place.address) as streams:
            async with asyncio.timeout(20):
                while not await self._is_quiet(bus, streams):  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.05)

    async def _is_quiet(self, bus: Any, streams: JetStream) -> bool:
        if None in self.lms.answers():
            return False
        events = (await streams.info("EVENTS")).last_seq
        changes = (await streams.info("CHANGES")).last_seq
        status = await bus.ask("status")
        if status["events"] != events or status["outbox"]:
            return False
        unmarked = [await bus.pending("CHANGES", name) for name in status["destinations"]]
        waiting = [under_way(each) for each in (await bus.ask("status"))["destinations"].values()]
        if any(unmarked) or any(waiting):
            return False
        # Nothing has come meanwhile: what was looked at first is still so.
        return (events, changes) == (
            (await streams.info("EVENTS")).last_seq,
            (await streams.info("CHANGES")).last_seq,
        )

    # -- what people see

    def run(self, *arguments: str) -> Result:
        """A command, as a person types it."""
        return CliRunner().invoke(main, [*arguments, "--state", str(self.place.state)])

    async def says(self, *arguments: str) -> dict[str, Any]:
        result = await asyncio.to_thread(self.run, *arguments, "--output", "json")
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    async def field(self, key: str, name: str) -> dict[str, Any]:
        """What `explain` says of a field."""
        found: dict[str, Any] = (await self.says("explain", key))["fields"][name]
        return found

    async def conflicts(self, key: str) -> list[dict[str, Any]]:
        found = (await self.says("conflicts", "list"))["conflicts"]
        return [each for each in found if each["key"] == key]

    async def alerts(self, kind: str) -> list[Alert]:
        async with JetStream.connect(self.place.address) as streams:
            pages = streams.read("ALERTS", subject=f"alert.*.{kind}.>")
            return [decode_alert(stored.body) for page in [p async for p in pages] for stored in page]

    async def audited(self, key: str, step: str = "event") -> list[AuditRecord]:
        """What was settled of a record, in order."""
        async with JetStream.connect(self.place.address) as streams:
            pages = [page async for page in streams.read("AUDIT", subject=f"audit.{step}.>")]
        records = [record for page in pages for stored in page for record in decode_audit(stored.body)]
        return [record for record in records if record.key == key]

    def account(self, id_: str) -> dict[str, Any]:
        """A student's at the identity provider."""
        (found,) = accounts(self.scim, id_)
        return found

    def sis_imports(self, table: str, id_: str) -> list[Cells]:
        """The rows about a record in the files that the SIS imports, in order."""
        rows: list[Cells] = []
        for path in sorted((self.place.state / "sis-import").glob(f"{table}-*.csv")):
            with path.open(newline="") as file:
                rows += csv.DictReader(file)
        return [row for row in rows if id_ in row.values()]

    def warehouse(self, table: str, id_: str) -> dict[str, Any]:
        """A row there."""
        connection = sqlite3.connect(self.place.state / "warehouse.db")
        try:
            connection.row_factory = sqlite3.Row
            row = connection.execute(f"SELECT * FROM {table} WHERE id = ?", (id_,)).fetchone()
            return dict(row) if row else {}
        finally:
            connection.close()


async def _looks(bus: Client) -> int:
    """How many looks at the accounts have come to a good end."""
    read = (await bus.ask("status"))["sources"]["idp"]["last_read"]
    return read["number"] - (read["outcome"] not in ("accepted", "unchanged")) if read else 0


def edited(path: Path, *edits: tuple[str, str]) -> None:
    """Edit a file of the configuration as a person does; each text must be there once."""
    text = path.read_text()
    for old, new in edits:
        assert text.count(old) == 1, (path.name, old)
        text = text.replace(old, new)
    path.write_text(text)


@contextmanager
def four_systems(folder: Path, *, students: int = 20) -> Iterator[Four]:
    """All of them on loopback. Nothing is exported yet."""
    with scim_server() as url, pytest.MonkeyPatch.context() as patch:
        for_lms, for_webhooks = free_port(), free_port()
        patch.setenv("SCIM_URL", f"{url}/district")
        patch.setenv("SCIM_TOKEN", TOKEN)
        patch.setenv("LMS_URL", f"http://127.0.0.1:{for_lms}/api")
        patch.setenv("LMS_TOKEN", standin_lms.TOKEN)
        patch.setenv("LMS_SECRET", standin_lms.SECRET)
        patch.setenv("LMS_WEBHOOK_PORT", str(for_webhooks))
        config, state = copy_example(folder), folder / "state"
        for name in FOLDERS:
            (state / name).mkdir(parents=True)
        edited(config / "idp.yaml", ("rate: 200/s", "rate: 5000/s"), ("every: 5m ", "every: 300ms "))
        edited(config / "lms.yaml", ("linger: 200ms", "linger: 10ms"))
        edited(
            config / "sis.yaml",
            ("  adapter: oneroster_csv\n", "  adapter: oneroster_csv\n  clock_skew: 0s\n"),
        )
        place = Place(config, state)
        lms = StandIn(folder / "lms.sqlite", for_lms, f"http://127.0.0.1:{for_webhooks}/lms")
        with lms, Router(place) as router:
            yield Four(place, router, lms, Export(folder, students=students), f"{url}/district")
