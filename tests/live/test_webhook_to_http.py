"""From a signed webhook to another system's HTTP interface, by the router as a process of its own."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from real_nats import NatsServer
from record_server import TOKEN, Tenant, record_server
from running import Place, Router, streams, until
from webhook_sender import SECRET, Sender, free_port, listens

from adapters.webhook.signature import SIGNATURE, TIMESTAMP, sign
from bus.messages import Outcome
from console.client import client

DISTRICT = """\
name: Two systems
timezone: America/Chicago
nats: {{url: "{nats}"}}
"""
ENROLLMENT = """\
entity: enrollment
owner: lms
fields:
  name: {}
  state: {}
"""
LMS = """\
system: lms
source:
  adapter: webhook
  settings: {{path: /lms, secret: "${{file:lms_secret}}", port: {port}}}
  entities:
    enrollment: {{table: enrollments, id: id, fields: {{name: title, state: workflow_state}}}}
"""
LIBRARY = """\
system: library
destination:
  adapter: http
  mode: live
  concurrent: 4
  settings:
    url: {url}
    token: {token}
    check: /health
    tables: {{enrollments: {{read: "{{path}}/{{id}}"}}}}
  entities:
    enrollment: {{table: enrollments, fields: {{name: name, state: state}}}}
"""


class Signed:
    """A sender that signs with the time of now."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._sender = Sender(session, f"http://127.0.0.1:{port}/lms")

    async def post(self, id_: str, local_id: str, op: str = "update", **data: Any) -> tuple[int, Any]:
        event = {"id": id_, "table": "enrollments", "op": op, "data": {"id": local_id, **data}}
        body = json.dumps(event).encode()
        now_s = str(int(time.time()))
        headers = {TIMESTAMP: now_s, SIGNATURE: sign(SECRET.encode(), now_s, body)}
        status, _, answered = await self._sender.post(body, **headers)
        return status, answered


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    folder = tmp_path / "nats"
    folder.mkdir()
    with NatsServer(folder, sync="always") as server:
        yield server


@pytest.fixture
def library() -> Iterator[tuple[Tenant, str]]:
    with record_server() as there:
        yield there.tenant("library"), f"{there.url}/library"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def router(tmp_path: Path, server: NatsServer, library: tuple[Tenant, str], port: int) -> Iterator[Router]:
    config, state = tmp_path / "integrations", tmp_path / "state"
    (config / "entities").mkdir(parents=True)
    state.mkdir()
    (config / "lms_secret").write_text(SECRET)
    (config / "lms_secret").chmod(0o600)
    (config / "district.yaml").write_text(DISTRICT.format(nats=server.address.url))
    (config / "entities" / "enrollment.yaml").write_text(ENROLLMENT)
    (config / "lms.yaml").write_text(LMS.format(port=port))
    (config / "library.yaml").write_text(LIBRARY.format(url=library[1], token=TOKEN))
    with Router(Place(config, state, server.address.url)) as router:
        yield router


@pytest.fixture
async def lms(port: int) -> AsyncIterator[Signed]:
    async with aiohttp.ClientSession() as session:
        yield Signed(session, port)


def state_of(tenant: Tenant, id_: str) -> Any:
    return tenant.table("enrollments").get(id_, {}).get("state")


async def test_a_webhook_arrives_at_the_other_system(
    router: Router, lms: Signed, library: tuple[Tenant, str], port: int
) -> None:
    tenant, _ = library
    await router.start()
    await listens(port)

    assert (await lms.post("a1", "7", title="Art", workflow_state="active"))[0] == 202
    await until(lambda: state_of(tenant, "7") == "active")
    assert (await lms.post("a2", "7", workflow_state="withdrawn"))[0] == 202
    await until(lambda: state_of(tenant, "7") == "withdrawn")

    assert tenant.table("enrollments")["7"]["name"] == "Art"  # which the second one did not speak of
    async with client(router.place.where) as bus:
        source = (await bus.ask("status"))["sources"]["lms"]
    assert (source["published"], source["unreachable"], source["last_read"]) == (2, "", None)
    assert source["heard"]["last_ms"] > 0
    assert (await lms.post("a3", "7", "delete"))[0] == 202
    await until(lambda: "7" not in tenant.table("enrollments"))


async def test_killed_between_two_posts_nothing_is_lost_and_nothing_doubled(
    router: Router, lms: Signed, library: tuple[Tenant, str], port: int
) -> None:
    tenant, _ = library
    await router.start()
    await listens(port)

    assert (await lms.post("a1", "7", title="Art", workflow_state="active"))[0] == 202
    router.kill()
    with pytest.raises(aiohttp.ClientConnectionError):
        await lms.post("a2", "8", title="Music", workflow_state="active")
    await router.start()
    await listens(port)
    again = [await lms.post("a1", "7", title="Art", workflow_state="active") for _ in range(2)]
    assert (await lms.post("a2", "8", title="Music", workflow_state="active"))[0] == 202
    await until(lambda: state_of(tenant, "8") == "active")
    found = await streams(router.place)

    assert [status for status, _ in again] == [202, 202]
    assert found.events == found.changes == 2
    assert state_of(tenant, "7") == "active"
    assert tenant.writes == ["PUT /enrollments/7", "PUT /enrollments/8"]
    assert [record.outcome for record in found.settled].count(Outcome.DUPLICATE) == 2


async def test_while_the_bus_is_down_it_says_come_again(
    router: Router, server: NatsServer, lms: Signed, library: tuple[Tenant, str], port: int
) -> None:
    tenant, _ = library
    await router.start()
    await listens(port)
    assert (await lms.post("a1", "7", title="Art", workflow_state="active"))[0] == 202

    server.kill()
    refused, headers = await lms.post("a2", "7", workflow_state="withdrawn")
    server.start()
    status = 0
    while status != 202:
        status, _ = await lms.post("a2", "7", workflow_state="withdrawn")
        assert status in (202, 503)
    await until(lambda: state_of(tenant, "7") == "withdrawn")
    found = await streams(router.place)

    assert refused == 503
    assert int(headers["Retry-After"]) >= 1
    assert found.events == 2
    assert router.running
