"""An identity provider that tells and is told, by real processes: it owns e-mail and user name, and a clerk
edits them in the SIS all the same.
"""

import asyncio
import csv
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conformance.scim_server import TOKEN, accounts, call, make_account
from conformance.scim_server import scim_url as scim_url
from record_server import TOKEN as RECORD_TOKEN
from record_server import Tenant, record_server
from running import Place, Router, lay_out, sampled, through

from bus.codec import decode_audit
from bus.jetstream import JetStream
from bus.messages import AuditRecord, Outcome, Step
from console.cli import main
from console.client import client

IDP = """\
system: idp
source:
  adapter: scim
  settings: {{url: "{url}", token: {token}, every: 500ms, page: 5}}
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
  mode: live
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
            first = await _reads(bus)
            async with asyncio.timeout(40):
                while True:
                    status = await bus.ask("status")
                    told = status["destinations"].values()
                    waiting = any(e["waiting"] or e["marked_seq"] < status["changes"] for e in told)
                    info = await streams.info("EVENTS")
                    whole = status["events"] == info.last_seq and not waiting and not status["outbox"]
                    if whole and await _reads(bus) >= first + times:
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


@pytest.fixture
def url(scim_url: str, tmp_path: Path) -> str:
    return f"{scim_url}/{tmp_path.name}"


@pytest.fixture
def registrar() -> Iterator[tuple[Tenant, str]]:
    """How the SIS is told."""
    with record_server() as there:
        yield there.tenant("sis"), f"{there.url}/sis"


@pytest.fixture
def place(tmp_path: Path, url: str, registrar: tuple[Tenant, str]) -> Place:
    place = lay_out(tmp_path)
    student = place.config / "entities" / "student.yaml"
    text = student.read_text()
    for name in ("email", "username"):
        assert f"  {name}: {{" in text
        text = text.replace(f"  {name}: {{", f"  {name}: {{owner: idp, ")
    student.write_text(text + "match:\n  - [identifier]\n")
    (place.config / "idp.yaml").write_text(IDP.format(url=url, token=TOKEN))
    with (place.config / "sis.yaml").open("a") as file:
        file.write(SIS_IS_TOLD.format(url=registrar[1], token=RECORD_TOKEN))
    return place


async def test_e_mail_comes_from_the_identity_provider_and_a_clerks_edit_is_set_right(
    place: Place, url: str, registrar: tuple[Tenant, str], tmp_path: Path
) -> None:
    export = sampled(tmp_path, students=20)
    ada, *_ = students(export)
    theirs = make_account(
        url,
        userName="ada",
        userType="student",
        emails=[{"type": "work", "value": "Ada@Idp.Org"}],
        **{ENTERPRISE: {"employeeNumber": ada["identifier"]}},
    )
    vendor = make_account(url, userName="backup", userType="student", title="Vendor")
    admin = make_account(url, userName="admin")

    with Router(place) as router:
        await router.start()
        district = District(place, url, registrar[0])
        await district.polled()
        await through(place, export)
        await district.polled()

        # The account that was there is the student's, by the rule; all others have got one.
        assert (await district.says("explain", f"idp:{theirs['id']}"))["key"] == f"student/{ada['sourcedId']}"
        assert district.account(theirs["id"])["externalId"] == ada["sourcedId"]
        assert [len(accounts(url, each["sourcedId"])) for each in students(export)] == [1] * 20
        assert len(call(f"{url}/Users?count=1")["Resources"]) and call(f"{url}/Users")["totalResults"] == 22
        # What we have made is known when it is read: nothing waits but the vendor's.
        waiting = (await district.says("unmatched", "list"))["unmatched"]
        assert [each["local_id"] for each in waiting] == [vendor["id"]]
        # Its e-mail is everybody's, also the SIS's, whose own was another one.
        assert district.warehouse(ada["sourcedId"])["email"] == "ada@idp.org"
        assert district.sis[ada["sourcedId"]]["email"] == "ada@idp.org"

        # Edited at the identity provider: it goes to the others, and not back.
        patch(url, theirs["id"], **{'emails[type eq "work"].value': "ada.l@idp.org", "userName": "ada.l"})
        before = district.account(theirs["id"])
        await district.polled()

        assert district.warehouse(ada["sourcedId"])["email"] == "ada.l@idp.org"
        assert district.warehouse(ada["sourcedId"])["username"] == "ada.l"
        assert district.sis[ada["sourcedId"]]["email"] == "ada.l@idp.org"
        assert district.account(theirs["id"]) == before

        # The SIS takes up in the night what it was told, and exports it: that is no news.
        def takes_up(row: dict[str, str]) -> None:
            if there := district.sis.get(row["sourcedId"]):
                row["email"], row["username"] = there["email"] or "", there["username"] or ""

        day_2 = edited(export, tmp_path / "day2.zip", takes_up)
        await through(place, day_2)

        # A clerk types another one into the SIS: refused, and set right there. Nobody else hears of it.
        district.sis[ada["sourcedId"]]["email"] = "clerk@sis.org"

        def clerk(row: dict[str, str]) -> None:
            if row["sourcedId"] == ada["sourcedId"]:
                row["email"] = "clerk@sis.org"

        await through(place, edited(day_2, tmp_path / "day3.zip", clerk))
        await district.polled()
        explained = await district.says("explain", f"student/{ada['sourcedId']}")

        assert explained["fields"]["email"]["value"] == "ada.l@idp.org"
        assert list(explained["fields"]["email"]["claims"]) == ["sis"]
        assert district.sis[ada["sourcedId"]]["email"] == "ada.l@idp.org"
        assert district.warehouse(ada["sourcedId"])["email"] == "ada.l@idp.org"
        assert district.account(theirs["id"]) == before
        refused = [
            r for r in await district.audited() if r.step is Step.EVENT and r.outcome is Outcome.REFUSED
        ]
        assert [(r.source, r.fields) for r in refused] == [("sis", ("email",))]

        # No accounts but theirs and ours, and nobody touched what is not the hub's.
        assert call(f"{url}/Users")["totalResults"] == 22
        assert district.account(vendor["id"]) == vendor
        assert district.account(admin["id"]) == admin
        assert (await district.says("conflicts", "list"))["conflicts"] == []
