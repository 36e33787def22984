"""Two-way by real processes: an LMS posts signed webhooks and is told in its database; people decide."""

import asyncio
import json
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result
from running import Place, Router, lay_out, sampled, through

from adapters.webhook.signature import SIGNATURE, TIMESTAMP, sign
from bus.codec import decode_conflict, encode_event
from bus.jetstream import JetStream
from bus.messages import Event, Op
from bus.port import Message
from console.cli import main
from console.client import client

SECRET = "a secret of sixteen"

LMS = """\
system: lms
source:
  adapter: webhook
  settings: {{path: /lms, secret: "{secret}", port: {port}}}
  entities:
    student:
      table: users
      id: id
      fields: {{givenName: given, email: mail, phone: phone}}
      normalize: {{email: lower}}
destination:
  adapter: sql
  mode: live
  settings: {{url: "sqlite:///{file}"}}
  entities:
    student:
      table: users
      fields: {{given: givenName, mail: email, phone: phone}}
"""


class District:
    """A router with an LMS that tells and is told."""

    def __init__(self, router: Router, place: Place, file: Path, url: str) -> None:
        self.router = router
        self.place = place
        self.file = file
        self.url = url
        self.posted = 0

    async def post(self, id_: str, *, op: str = "update", **data: object) -> int:
        """A signed webhook, as the LMS sends it; returns the status."""
        self.posted += 1
        event = {"id": f"e{self.posted}", "table": "users", "op": op, "data": {"id": id_, **data}}
        body, at = json.dumps(event).encode(), str(int(time.time()))
        headers = {
            TIMESTAMP: at,
            SIGNATURE: sign(SECRET.encode(), at, body),
            "Content-Type": "application/json",
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, data=body, headers=headers) as answer,
        ):
            return answer.status

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--state", str(self.place.state)])

    async def says(self, *arguments: str) -> dict[str, Any]:
        result = await asyncio.to_thread(self.run, *arguments, "--output", "json")
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def there(self, id_: str) -> dict[str, Any]:
        """What the LMS has of a user."""
        connection = sqlite3.connect(self.file)
        try:
            connection.row_factory = sqlite3.Row
            row = connection.execute("SELECT * FROM users WHERE id = ?", (id_,)).fetchone()
            return dict(row) if row else {}
        finally:
            connection.close()

    async def quiet(self) -> None:
        """Wait until every event is decided and delivered."""
        async with client(self.place.where) as bus, JetStream.connect(self.place.address) as streams:
            async with asyncio.timeout(20):
                while True:
                    status = await bus.ask("status")
                    waiting = sum(each["waiting"] for each in status["destinations"].values())
                    info = await streams.info("EVENTS")
                    if status["events"] == info.last_seq and not waiting and not status["outbox"]:
                        return
                    await asyncio.sleep(0.05)


def student_of(place: Place) -> str:
    """The id of some student."""
    connection = sqlite3.connect(place.state / "lms.sqlite")
    try:
        (found,) = connection.execute("SELECT id FROM users ORDER BY 1 LIMIT 1").fetchone()
        return str(found)
    finally:
        connection.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = lay_out(tmp_path)
    student = place.config / "entities" / "student.yaml"
    text = student.read_text()
    assert "  email: {" in text and "  phone: {" in text
    text = text.replace("  email: {", "  email: {owner: lms, ").replace(
        "  phone: {", "  phone: {owner: [lms, sis], ties: ask, "
    )
    student.write_text(text + "match:\n  - [givenName, phone]\n")
    return place


@pytest.fixture
def url(place: Place) -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    file = place.state / "lms.sqlite"
    (place.config / "lms.yaml").write_text(LMS.format(secret=SECRET, port=port, file=file))
    return f"http://127.0.0.1:{port}/lms"


async def test_what_a_two_way_system_says_is_decided_told_and_explained(
    place: Place, url: str, tmp_path: Path
) -> None:
    with Router(place) as router:
        await router.start()
        district = District(router, place, place.state / "lms.sqlite", url)
        await through(place, sampled(tmp_path, students=20))
        id_ = student_of(place)
        before = district.there(id_)
        given, key = before["given"], f"student/{id_}"

        # The owner of a field says something: it stands. What it does not own is refused, and set right.
        assert await district.post(id_, given=given, mail="New@Ex.org") == 202
        await district.quiet()
        assert await district.post(id_, given="Somebody") == 202
        await district.quiet()
        explained = await district.says("explain", key)

        assert explained["fields"]["email"]["value"] == "new@ex.org"
        assert explained["fields"]["email"]["source"] == "lms"
        assert explained["fields"]["givenName"]["value"] == given
        assert list(explained["fields"]["givenName"]["claims"]) == ["lms"]
        assert explained["systems"]["lms"]["local_id"] == id_
        assert district.there(id_)["given"] == given

        # It knows the id by which it was told, and people find the record by that too.
        assert (await district.says("explain", f"lms:{id_}"))["key"] == key


async def test_a_person_picks_where_two_have_changed_the_same(place: Place, url: str, tmp_path: Path) -> None:
    with Router(place) as router:
        await router.start()
        district = District(router, place, place.state / "lms.sqlite", url)
        await through(place, sampled(tmp_path, students=20))
        id_ = student_of(place)
        key = f"student/{id_}"

        assert await district.post(id_, phone="1") == 202  # the LMS has taken up the SIS's, and changes it
        await district.quiet()
        async with JetStream.connect(place.address) as bus:
            await say_of_sis(bus, id_, phone="2")
        await district.quiet()
        (conflict,) = (await district.says("conflicts", "list"))["conflicts"]

        assert (conflict["state"], conflict["rule"], conflict["fields"]) == ("asked", "ask", ["phone"])
        shown = await asyncio.to_thread(district.run, "conflicts", "show", conflict["id"])
        assert '"1"' in shown.output and '"2"' in shown.output
        refused = await asyncio.to_thread(
            district.run, "conflicts", "resolve", conflict["id"], "--take", "nobody", "--why", "x"
        )
        assert refused.exit_code != 0 and "take: expected one of" in refused.output
        done = await asyncio.to_thread(
            district.run, "conflicts", "resolve", conflict["id"], "--take", "sis", "--why", "rang them"
        )
        assert done.exit_code == 0, done.output
        await district.quiet()

        assert district.there(id_)["phone"] == "2"
        explained = await district.says("explain", key)
        assert (explained["fields"]["phone"]["value"], explained["fields"]["phone"]["rule"]) == (
            "2",
            "picked",
        )
        assert (await district.says("conflicts", "list"))["conflicts"][0]["state"] == "picked"

        # Somebody else has not seen that yet. Digits are text in a field of text.
        resolve = ("conflicts", "resolve", conflict["id"], "--set", "phone=3", "--why", "they called")
        late = await asyncio.to_thread(district.run, *resolve)
        rev = explained["rev"]
        assert late.exit_code != 0 and f"--rev {rev}" in late.output
        assert district.there(id_)["phone"] == "2"
        again = await asyncio.to_thread(district.run, *resolve, "--rev", str(rev))
        assert again.exit_code == 0, again.output
        await district.quiet()
        assert (await district.says("explain", key))["fields"]["phone"]["value"] == "3"
        assert district.there(id_)["phone"] == "3"
        async with JetStream.connect(place.address) as bus:
            kept = [s async for page in bus.read("AUDIT", subject="audit.conflict.>") for s in page]
        assert [decode_conflict(each.body)[0].fields for each in kept] == [("phone",)]


async def say_of_sis(bus: JetStream, id_: str, **fields: str) -> None:
    """News of the SIS beside its files, as another path of it brings them."""
    at_ms = int(time.time() * 1000)
    event = Event("by hand", "sis", "student", Op.UPDATE, id_, fields, False, at_ms)
    await bus.publish("EVENTS", [Message("event.sis.student.update", encode_event(event), event.id)])


async def test_what_matches_nothing_waits_and_a_person_links_or_dismisses_it(
    place: Place, url: str, tmp_path: Path
) -> None:
    with Router(place) as router:
        await router.start()
        district = District(router, place, place.state / "lms.sqlite", url)
        await through(place, sampled(tmp_path, students=20))
        id_ = student_of(place)

        assert await district.post("u-1", given="Nobody", mail="n@ex.org") == 202
        assert await district.post("u-2", given="Vendor", mail="v@ex.org") == 202
        await district.quiet()
        waiting = (await district.says("unmatched", "list"))["unmatched"]
        assert {each["local_id"] for each in waiting} == {"u-1", "u-2"}

        why = ("--why", "asked the registrar")
        linked = await asyncio.to_thread(district.run, "unmatched", "link", "lms:u-1", f"student/{id_}", *why)
        assert linked.exit_code == 0, linked.output
        dismissed = await asyncio.to_thread(district.run, "unmatched", "dismiss", "student", "lms:u-2", *why)
        assert dismissed.exit_code == 0, dismissed.output
        await district.quiet()

        assert (await district.says("unmatched", "list"))["unmatched"] == []
        explained = await district.says("explain", "lms:u-1")
        assert explained["key"] == f"student/{id_}"
        assert explained["fields"]["email"]["value"] == "n@ex.org"
