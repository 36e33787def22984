"""The first contact with an identity provider that has accounts already, by real processes: it is looked at,
a person approves what was found, and nothing is changed that is neither linked nor ours.
"""

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conformance.scim_server import accounts, call, make_account
from conformance.scim_server import scim_url as scim_url
from identity_district import ENTERPRISE, District, laid_out, students
from record_server import Tenant, record_server
from running import Place, Router, lay_out, sampled, through, until

from bus.jetstream import JetStream
from bus.messages import Outcome, Step
from console.cli import main


@pytest.fixture
def url(scim_url: str, tmp_path: Path) -> str:
    return f"{scim_url}/{tmp_path.name}"


@pytest.fixture
def registrar() -> Iterator[tuple[Tenant, str]]:
    with record_server() as there:
        yield there.tenant("sis"), f"{there.url}/sis"


@pytest.fixture
def place(tmp_path: Path, url: str, registrar: tuple[Tenant, str]) -> Place:
    return laid_out(tmp_path, url, registrar[1], mode="purpose: Accounts")


def everybody(url: str) -> dict[str, dict[str, Any]]:
    """All accounts as they stand there, by id."""
    return {each["id"]: each for each in call(f"{url}/Users?count=100")["Resources"]}


async def test_a_system_is_looked_at_and_goes_live_when_a_person_approves(
    place: Place, url: str, registrar: tuple[Tenant, str], tmp_path: Path
) -> None:
    export = sampled(tmp_path, students=20)
    ada, bob, carol, *_ = students(export)

    def number(of: dict[str, str]) -> dict[str, Any]:
        return {"userType": "student", ENTERPRISE: {"employeeNumber": of["identifier"]}}

    emails = [{"type": "work", "value": "ada@idp.org"}]
    hers = make_account(url, userName="ada", emails=emails, title="Head girl", **number(ada))
    his = make_account(url, userName="bob", userType="student", externalId=bob["sourcedId"])
    carols = [make_account(url, userName=name, **number(carol)) for name in ("carol", "carol2")]
    vendor = make_account(url, userName="backup", userType="student")
    admin = make_account(url, userName="admin")
    before = everybody(url)

    with Router(place) as router:
        await router.start()
        district = District(place, url, registrar[0])
        early = await asyncio.to_thread(district.run, "adopt", "idp", "--approve", "0", "--why", "because")
        assert early.exit_code != 0, early.output

        await through(place, export)
        await district.polled()

        # Everything is decided, and nothing is sent.
        assert everybody(url) == before
        report = await district.says("adopt", "idp")
        assert (report["mode"], report["not_ready"], report["unread"]) == ("observe", "", [])
        counts = report["entities"]["student"]
        assert {what: counts[what] for what in ("linked", "create", "waits", "ambiguous", "unknown")} == {
            "linked": 3,
            "create": 17,
            "waits": 0,
            "ambiguous": 1,
            "unknown": 1,
        }
        assert counts["found_by"] == {"identifier": 2, "our id there, or a person": 1}
        assert counts["fields"]["username"] == {"stands": 3}
        assert counts["fields"]["email"] == {"stands": 3}
        assert counts["fields"]["identifier"] == {"written": 1}  # bob's account has no number
        assert report["owners"]["student"]["email"] == ["idp"]
        shown = await asyncio.to_thread(district.run, "adopt", "idp")
        assert "would be made there" in shown.output and report["hash"] in shown.output

        # As lines for a spreadsheet: ids and names of fields, no value.
        text = (await asyncio.to_thread(district.run, "adopt", "idp", "--csv")).stdout
        lines = list(csv.DictReader(io.StringIO(text)))
        assert len(lines) == 22
        [line] = [line for line in lines if line["local_id"] == hers["id"]]
        assert (line["what"], line["key"]) == ("linked", f"student/{ada['sourcedId']}")
        assert {line["local_id"] for line in lines if line["what"] == "unknown"} == {vendor["id"]}
        assert "ada@idp.org" not in text and ada["email"] not in text and ada["familyName"] not in text

        # Somebody comes while the report is read: look again.
        late = make_account(url, userName="late", userType="student")
        await district.polled()
        approve = ("adopt", "idp", "--why", "looked through it", "--approve")
        stale = await asyncio.to_thread(district.run, *approve, report["hash"])
        assert stale.exit_code != 0 and "Look again" in stale.output
        no_reason = await asyncio.to_thread(district.run, "adopt", "idp", "--approve", report["hash"])
        assert no_reason.exit_code != 0 and "--why" in no_reason.output
        assert everybody(url) == before | {late["id"]: late}

        hash_ = (await district.says("adopt", "idp"))["hash"]
        approved = await asyncio.to_thread(district.run, *approve, hash_)
        assert approved.exit_code == 0, approved.output
        await district.polled()

        # What was only observed has arrived: 17 are made, the linked ones are brought up to date.
        after = everybody(url)
        assert len(after) == len(before) + 1 + 17
        [now] = accounts(url, ada["sourcedId"])
        assert (now["id"], now["title"], now["emails"]) == (hers["id"], "Head girl", hers["emails"])
        assert now["name"]["givenName"] == ada["givenName"]
        assert after[his["id"]][ENTERPRISE]["employeeNumber"] == bob["identifier"]
        assert sum(after[each["id"]].get("externalId") == carol["sourcedId"] for each in carols) == 1
        # Nothing that is neither linked nor ours: byte for byte as it was.
        others = [each for each in (*carols, vendor, admin, late) if "externalId" not in after[each["id"]]]
        assert len(others) == 4
        assert [after[each["id"]] for each in others] == others
        [act] = [r for r in await district.audited() if r.step is Step.OPERATOR]
        assert (act.outcome, act.destination, bool(act.who)) == (Outcome.ACCEPTED, "idp", True)
        assert hash_ in act.reason and "looked through it" in act.reason

        # Who gets what, for which purpose.
        shared = await asyncio.to_thread(district.run, "shares", "idp", "--output", "csv")
        told = {(row["field"], row["sent_as"]): row for row in csv.DictReader(io.StringIO(shared.stdout))}
        assert told["email", "emails.work"]["class"] == "directory"
        assert told["identifier", "userName"]["purpose"] == "Accounts"  # an expression lists all it reads
        assert told["username", "userName"]["mode"] == "live"
        assert told["id", "externalId"]["class"] == "identifier"

        # It stays live when the index is made again; and nothing is sent twice.
        router.stop()
        arguments = ["rebuild", "--config", str(place.config), "--state", str(place.state)]
        rebuilt = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        assert rebuilt.exit_code == 0, rebuilt.output
        await router.start()
        await district.polled()
        status = await status_of(district)
        assert (status["mode"], status["outcomes"].get("delivered", 0)) == ("live", 0)
        assert everybody(url) == after
        again = await asyncio.to_thread(district.run, *approve, hash_)
        assert again.exit_code != 0 and "its mode is live already" in again.output


async def test_of_a_system_that_cannot_be_read_it_says_what_it_can_and_a_kill_loses_no_approval(
    tmp_path: Path,
) -> None:
    place = lay_out(tmp_path)
    warehouse = place.config / "warehouse.yaml"
    text = warehouse.read_text()
    assert "  mode: live" in text
    warehouse.write_text(text.replace("  mode: live", "  mode: observe"))

    with Router(place) as router:
        await router.start()
        district = District(place, "", Tenant())
        await through(place, sampled(tmp_path, students=20))
        report = await district.says("adopt", "warehouse")

        assert report["not_ready"] == "" and "student" in report["unread"]
        assert report["entities"]["student"]["create"] == 20
        assert _students(place) == 0
        shown = await asyncio.to_thread(district.run, "adopt", "warehouse")
        assert "nobody here knows: org, " in shown.output

        approve = ("adopt", "warehouse", "--approve", report["hash"], "--why", "it is new")
        approved = await asyncio.to_thread(district.run, *approve)
        router.kill()
        assert approved.exit_code == 0, approved.output
        await router.start()
        await until(lambda: _students(place) == 20, within_s=60)
        await district.polled(0)

        [act] = {r for r in await district.audited() if r.step is Step.OPERATOR}
        assert (act.destination, act.outcome) == ("warehouse", Outcome.ACCEPTED)
        async with JetStream.connect(place.address) as bus:
            facts = [s.subject async for page in bus.read("STATE", subject="state.live.>") for s in page]
        assert len(facts) == 1


def _students(place: Place) -> int:
    """How many the warehouse has."""
    file = place.state / "warehouse.db"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file)) as warehouse:
        try:
            return int(warehouse.execute("SELECT count(*) FROM students").fetchone()[0])
        except sqlite3.OperationalError:  # its table is not made yet
            return 0


async def status_of(district: District) -> dict[str, Any]:
    result = await asyncio.to_thread(district.run, "status", "--output", "json")
    found: dict[str, Any] = json.loads(result.stdout)["destinations"]["idp"]
    return found
