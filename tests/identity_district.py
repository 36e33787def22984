"""A district whose identity provider tells and is told, and whose SIS gets back what it may not say."""

import asyncio
import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from conformance.scim_server import TOKEN, call
from record_server import TOKEN as RECORD_TOKEN
from record_server import Tenant
from running import Place, lay_out

from bus.codec import decode_audit
from bus.jetstream import JetStream
from bus.messages import AuditRecord
from console.cli import main
from console.cli.flow import under_way
from console.client import client

IDP = """\
system: idp
source:
  adapter: scim
  settings: {{url: "{url}", token: {token}, every: {every}, page: 5}}
  entities:
    student:
      table: Users
      id: id
      hub_id: externalId
      when: userType == 'student'
      fields: {{username: userName, email: emails.work, identifier: enterprise.employeeNumber}}
      normalize: {{email: lower}}
destination:
  adapter: scim
  settings: {{url: "{url}", token: {token}}}
  {mode}
  concurrent: 8
  entities:
    student:
      table: Users
      id: externalId
      on_delete: deactivate
      fields:
        userName: "username == null ? identifier : username"
        emails.work: email
        name.givenName: givenName
        enterprise.employeeNumber: identifier
        userType: role
"""

SIS_IS_TOLD = """
destination:
  adapter: http
  settings: {{url: "{url}", token: {token}, tables: {{students: {{read: "{{path}}/{{id}}"}}}}}}
  mode: live
  concurrent: 4
  takes_up_within: 36h
  entities:
    student: {{table: students, fields: {{name: familyName, email: email, username: username}}}}
"""

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class District:
    """A router beside a SIS that gets back what it may not say, and an identity provider."""

    def __init__(self, place: Place, url: str, registrar: Tenant) -> None:
        self.place = place
        self.url = url
        self.sis = registrar.table()
        """What the SIS has taken up of its students, by id."""

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--state", str(self.place.state)])

    async def says(self, *arguments: str) -> dict[str, Any]:
        result = await asyncio.to_thread(self.run, *arguments, "--output", "json")
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def warehouse(self, id_: str) -> dict[str, Any]:
        return _row(self.place.state / "warehouse.db", "students", id_)

    async def polled(self, times: int = 2) -> None:
        """Wait until the identity provider was read so many times from now on, and all of it has arrived."""
        async with client(self.place.where) as bus, JetStream.connect(self.place.address) as streams:
            first = await _reads(bus) if times else 0
            async with asyncio.timeout(40):
                while True:
                    status = await bus.ask("status")
                    told = status["destinations"].values()
                    waiting = any(under_way(e) or e["marked_seq"] < status["changes"] for e in told)
                    info = await streams.info("EVENTS")
                    whole = status["events"] == info.last_seq and not waiting and not status["outbox"]
                    if whole and (not times or await _reads(bus) >= first + times):
                        return
                    await asyncio.sleep(0.05)

    def account(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = call(f"{self.url}/Users/{id_}")
        return found

    async def audited(self) -> list[AuditRecord]:
        async with JetStream.connect(self.place.address) as bus:
            return [r async for page in bus.read("AUDIT") for s in page for r in _records(s)]


def _records(stored: Any) -> list[AuditRecord]:
    return [] if ".conflict." in stored.subject else decode_audit(stored.body)


async def _reads(bus: Any) -> int:
    """How many looks at the identity provider have come to a good end."""
    read = (await bus.ask("status"))["sources"]["idp"]["last_read"]
    return read["number"] - (read["outcome"] not in ("accepted", "unchanged")) if read else 0


def _row(file: Path, table: str, id_: str) -> dict[str, Any]:
    connection = sqlite3.connect(file)
    try:
        connection.row_factory = sqlite3.Row
        row = connection.execute(f"SELECT * FROM {table} WHERE id = ?", (id_,)).fetchone()
        return dict(row) if row else {}
    finally:
        connection.close()


def patch(url: str, id_: str, **attributes: object) -> None:
    """Somebody at the identity provider edits an account."""
    operations = [{"op": "replace", "path": path, "value": value} for path, value in attributes.items()]
    schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    call(f"{url}/Users/{id_}", "PATCH", {"schemas": [schema], "Operations": operations})


def edited(package: Path, to: Path, edit: Callable[[dict[str, str]], None]) -> Path:
    """The export again, after a clerk has edited users."""
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name == "users.csv":
                rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
                for row in rows:
                    edit(row)
                out = io.StringIO(newline="")
                writer = csv.DictWriter(out, rows[0].keys())
                writer.writeheader()
                writer.writerows(rows)
                body = out.getvalue().encode()
            new.writestr(name, body)
    return to


def students(package: Path) -> list[dict[str, str]]:
    with zipfile.ZipFile(package) as archive:
        text = archive.read("users.csv").decode()
    return [row for row in csv.DictReader(io.StringIO(text, newline="")) if row["role"] == "student"]


def laid_out(
    folder: Path, idp_url: str, sis_url: str, *, mode: str = "mode: live", every: str = "500ms"
) -> Place:
    """The example district with both. The identity provider owns e-mail and user name; an account is found by
    the student's number. `mode`: a line of its file; `every`: how often it is looked at.
    """
    place = lay_out(folder)
    student = place.config / "entities" / "student.yaml"
    text = student.read_text()
    for name in ("email", "username"):
        assert f"  {name}: {{" in text
        text = text.replace(f"  {name}: {{", f"  {name}: {{owner: idp, ")
    student.write_text(text + "match:\n  - [identifier]\n")
    (place.config / "idp.yaml").write_text(IDP.format(url=idp_url, token=TOKEN, mode=mode, every=every))
    (place.config / "lms.yaml").unlink(missing_ok=True)
    with (place.config / "sis.yaml").open("a") as file:
        file.write(SIS_IS_TOLD.format(url=sis_url, token=RECORD_TOKEN))
    return place
