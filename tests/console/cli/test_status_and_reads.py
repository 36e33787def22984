"""`yellowbus status` and `yellowbus reads`, asked of a router on a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from router_answers import READ, STATUS

from bus.errors import BusError
from bus.jetstream import JetStream
from bus.services import Command, Services, serve
from console.cli import main


@asynccontextmanager
async def answering(bus: JetStream, **answers: dict[str, Any]) -> AsyncIterator[list[Any]]:
    """A router that says this; yields what it was asked, and by whom."""
    asked: list[Any] = []

    def command(what: str, said: dict[str, Any]) -> Command:
        async def answer(operator: str, request: bytes) -> bytes:
            asked.append((operator, json.loads(request or b"{}")))
            if "error" in said:
                raise BusError(said["error"])
            return json.dumps({"version": 1, **said}).encode()

        return Command(what=what, answer=answer, description=what)

    commands = [command(what, said) for what, said in answers.items()]
    services: Services = await serve(bus.connection, "yellowbus-router", "1.0.0", "a test", commands)
    await bus.connection.client.flush()  # the server has the subscriptions
    try:
        yield asked
    finally:
        await services.close()


async def typed(bus: JetStream, *arguments: str) -> Result:
    server = ["--server", bus.connection.address.url]
    invoke: Callable[..., Result] = CliRunner().invoke
    return await asyncio.to_thread(invoke, main, [*arguments, *server])


async def test_status_shows_a_table_and_exits_0_when_all_is_well(bus: JetStream) -> None:
    async with answering(bus, status=STATUS):
        found = await typed(bus, "status")

    assert found.exit_code == 0
    assert "Cobalt Landing, 2026-11-23 11:00:00 -05:00" in found.stdout
    assert "up to date" in found.stdout


async def test_status_exits_1_when_something_waits_or_fails(bus: JetStream) -> None:
    waits = {**STATUS, "destinations": {"idp": {**STATUS["destinations"]["idp"], "waiting": 2}}}
    async with answering(bus, status=waits):
        found = await typed(bus, "status")

    assert found.exit_code == 1
    assert "delivering" in found.stdout


async def test_status_as_json_is_the_routers_answer(bus: JetStream) -> None:
    async with answering(bus, status=STATUS):
        found = await typed(bus, "status", "--output", "json")

    assert json.loads(found.stdout) == {"version": 1, **STATUS}


async def test_without_a_router_status_exits_2_and_says_what_to_start(bus: JetStream) -> None:
    found = await typed(bus, "status")

    assert (found.exit_code, found.stdout) == (2, "")
    assert "the router does not answer. Start it: yellowbus router" in found.stderr


def test_without_a_bus_status_exits_2_and_says_where_it_looked(tmp_path: Path) -> None:
    never = CliRunner().invoke(main, ["status", "--state", str(tmp_path)])
    gone = CliRunner().invoke(main, ["status", "--server", "nats://127.0.0.1:9"])

    assert (never.exit_code, gone.exit_code) == (2, 2)
    assert f"{tmp_path / 'nats' / 'connection.json'}: no server was started here" in never.stderr
    assert "nats://127.0.0.1:9" in gone.stderr


async def test_reads_asks_for_one_system_and_shows_what_it_read(bus: JetStream) -> None:
    said = {"timezone": "America/New_York", "reads": [{**READ, "system": "sis"}]}
    async with answering(bus, reads=said) as asked:
        found = await typed(bus, "reads", "sis", "--most", "5")
        as_json = await typed(bus, "reads", "--output", "json")

    assert found.exit_code == 0
    assert "export.zip" in found.stdout and "2026-11-23 11:00:01 -05:00" in found.stdout
    assert [request for _, request in asked] == [{"system": "sis", "most": 5}, {"system": "", "most": 20}]
    assert json.loads(as_json.stdout)["reads"] == said["reads"]


async def test_a_system_that_is_none_is_answered_in_the_routers_words(bus: JetStream) -> None:
    async with answering(bus, reads={"error": "reads: 'foo' is no source here (expected one of: sis)"}):
        found = await typed(bus, "reads", "foo")

    assert found.exit_code == 1
    assert "'foo' is no source here (expected one of: sis)" in found.stderr
    assert "Traceback" not in found.stderr


async def test_nothing_read_yet_is_said(bus: JetStream) -> None:
    async with answering(bus, reads={"timezone": "UTC", "reads": []}):
        found = await typed(bus, "reads")

    assert (found.exit_code, found.stdout) == (0, "")
    assert "Nothing was read yet" in found.stderr
