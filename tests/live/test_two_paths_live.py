"""The same news by file and by webhook, with real processes: written once, and counted."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner
from real_nats import NatsServer
from record_server import TOKEN, Tenant, record_server
from running import Place, Router, streams, until
from webhook_sender import SECRET, Sender, free_port

from adapters.webhook.signature import SIGNATURE, TIMESTAMP, sign
from console.cli import main

DISTRICT = 'name: Twice\ntimezone: America/Chicago\nnats: {{url: "{nats}"}}\nguards: {{first_read: flow}}\n'
STUDENT = """\
entity: student
owner: sis
match: [[number]]
fields:
  number: {}
  name: {owner: [sis, hook], ties: latest}
"""
SIS = """\
system: sis
source:
  adapter: delimited
  settings: {folder: "${state}/sis", file: "{table}_{date:%Y%m%d}.csv", settle: 0.2, poll: 0.1}
  entities: {student: {table: students, id: id, fields: {number: number, name: name}}}
"""
HOOK = """\
system: hook
source:
  adapter: webhook
  settings: {{path: /sis, secret: "${{file:hook_secret}}", port: {port}}}
  entities: {{student: {{table: students, id: id, fields: {{number: number, name: name}}}}}}
"""
LIBRARY = """\
system: library
destination:
  adapter: http
  mode: live
  settings:
    url: {url}
    token: {token}
    check: /health
    tables: {{students: {{read: "{{path}}/{{id}}"}}}}
  entities: {{student: {{table: students, fields: {{number: number, name: name}}}}}}
"""


class Posts:
    """The student information system's webhook."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._sender = Sender(session, f"http://127.0.0.1:{port}/sis")

    async def post(self, id_: str, **data: str) -> int:
        body = json.dumps({"id": id_, "table": "students", "op": "update", "data": data}).encode()
        now_s = str(int(time.time()))
        headers = {TIMESTAMP: now_s, SIGNATURE: sign(SECRET.encode(), now_s, body)}
        return (await self._sender.post(body, **headers))[0]


@pytest.fixture
def library() -> Iterator[tuple[Tenant, str]]:
    with record_server() as there:
        yield there.tenant("library"), f"{there.url}/library"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def router(tmp_path: Path, library: tuple[Tenant, str], port: int) -> Iterator[Router]:
    config, state, nats = tmp_path / "integrations", tmp_path / "state", tmp_path / "nats"
    for folder in (config / "entities", state / "sis", nats):
        folder.mkdir(parents=True)
    with NatsServer(nats, sync="always") as server:
        (config / "hook_secret").write_text(SECRET)
        (config / "hook_secret").chmod(0o600)
        (config / "district.yaml").write_text(DISTRICT.format(nats=server.address.url))
        (config / "entities" / "student.yaml").write_text(STUDENT)
        (config / "sis.yaml").write_text(SIS)
        (config / "hook.yaml").write_text(HOOK.format(port=port))
        (config / "library.yaml").write_text(LIBRARY.format(url=library[1], token=TOKEN))
        with Router(Place(config, state, server.address.url)) as router:
            yield router


@pytest.fixture
async def hook(port: int) -> AsyncIterator[Posts]:
    async with aiohttp.ClientSession() as session:
        yield Posts(session, port)


def export(place: Place, day: int, **names: str) -> None:
    """The file of a day: students by id (`a1=name`), whose number is their id without the letter."""
    rows = "".join(f"{id_},{id_[1:]},{name}\n" for id_, name in names.items())
    path = place.state / "sis" / f"students_202611{day:02d}.csv"
    path.write_text(f"id,number,name\n{rows}")


async def duplicates(router: Router, output: str, since: str = "2d") -> str:
    command = ["audit", "duplicates", "--output", output, "--since", since, "--server", router.place.nats_url]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exit_code == 0, result.output
    return result.output


async def test_news_by_file_and_webhook_in_either_order_is_written_once(
    router: Router, hook: Posts, library: tuple[Tenant, str]
) -> None:
    tenant, _ = library

    def there(id_: str) -> Any:
        return tenant.table("students").get(id_, {}).get("name")

    export(router.place, 23, a1="Ada", a2="Bea")
    await router.start()
    await until(lambda: there("a2") == "Bea")
    written = list(tenant.writes)
    assert await hook.post("p1", id="h1", number="1", name="Adele") == 202  # the webhook first
    await until(lambda: there("a1") == "Adele")
    export(router.place, 24, a1="Adele", a2="Beatrix")  # the file first
    await until(lambda: there("a2") == "Beatrix")
    assert await hook.post("p2", id="h2", number="2", name="Beatrix") == 202
    assert await hook.post("p2", id="h2", number="2", name="Beatrix") == 202  # and once more
    async with asyncio.timeout(20):
        while len((await streams(router.place)).settled) < 7:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
    found: dict[str, Any] = json.loads((await duplicates(router, "json")).splitlines()[0])

    assert tenant.writes[len(written) :] == ["PUT /students/a1", "PUT /students/a2"]
    lines = {line["system"]: line for line in found["events"]}
    assert lines["sis"]["second_paths"] == 1
    assert lines["hook"]["duplicates"] == 1
    assert (await duplicates(router, "csv")).splitlines()[:2] == [
        "side,system,entity,repeats,echoes,second_paths,duplicates,others,unchanged,superseded",
        "events,hook,student,,,,1,,,",
    ]
    table = await duplicates(router, "table")
    assert "second paths" in table and "complete: yes" in table


def test_a_duration_that_is_none_is_said_to_be_none() -> None:
    result = CliRunner().invoke(main, ["audit", "duplicates", "--since", "yesterday"])

    assert result.exit_code == 2
    assert "no duration (expected a number with s, m, h or d, as in 24h)" in result.output
