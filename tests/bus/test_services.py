"""Commands and queries: answered, refused with a text, and never one behind another."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from real_nats import NatsServer, Wire, eventually

from bus.connection import Address, Connection
from bus.errors import BusError, Denied, Unavailable
from bus.jetstream import JetStream
from bus.services import Command, Services, ask, serve


async def whoami(operator: str, request: bytes) -> bytes:
    return f"{operator}:{request.decode()}".encode()


async def refuse(operator: str, request: bytes) -> bytes:
    raise BusError("hold 7f: nothing\nto approve")


async def bug(operator: str, request: bytes) -> bytes:
    raise KeyError("Jane Doe")


async def empty(operator: str, request: bytes) -> bytes:
    return b""


def commands(*more: Command) -> list[Command]:
    answers = {"whoami": whoami, "hold.approve": refuse, "bug": bug, "empty": empty}
    return [*(Command(what=w, answer=a, description=f"does {w}") for w, a in answers.items()), *more]


async def served(connection: Connection, *more: Command) -> Services:
    return await serve(connection, "yellowbus-router", "2026.11.0", "The router", commands(*more))


@pytest.fixture
async def services(bus: JetStream) -> AsyncIterator[Services]:
    services = await served(bus.connection)
    yield services
    await services.close()


@pytest.mark.usefixtures("services")
async def test_the_answer_knows_who_asked(bus: JetStream) -> None:
    assert await ask(bus.connection, "ann", "whoami", b"?") == b"ann:?"
    assert await ask(bus.connection, "ann", "empty") == b""


@pytest.mark.usefixtures("services")
async def test_a_refusal_carries_its_text_on_one_line(bus: JetStream) -> None:
    with pytest.raises(BusError, match="hold 7f: nothing to approve"):
        await ask(bus.connection, "ann", "hold.approve")


@pytest.mark.usefixtures("services")
async def test_a_bug_is_told_without_its_values_and_stops_nothing(bus: JetStream) -> None:
    with pytest.raises(BusError, match="a bug") as raised:
        await ask(bus.connection, "ann", "bug")

    assert "Jane" not in str(raised.value)
    assert await ask(bus.connection, "ann", "whoami") == b"ann:"


async def test_with_no_router_it_says_so_at_once(bus: JetStream) -> None:
    async with asyncio.timeout(1):
        with pytest.raises(Unavailable, match="the router does not answer"):
            await ask(bus.connection, "ann", "whoami")


async def test_a_long_answer_holds_up_nobody(bus: JetStream) -> None:
    go = asyncio.Event()

    async def slow(operator: str, request: bytes) -> bytes:
        if request == b"wait":
            await go.wait()
        return request

    services = await served(bus.connection, Command(what="slow", answer=slow, description="waits"))
    async with asyncio.timeout(3), asyncio.TaskGroup() as group:
        long = group.create_task(ask(bus.connection, "ann", "slow", b"wait"))
        await asyncio.sleep(0)
        short = await ask(bus.connection, "bob", "slow", b"now")
        go.set()
    await services.close()

    assert (short, long.result()) == (b"now", b"wait")


async def test_too_many_at_once_are_refused(bus: JetStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.services.AT_ONCE_MAX", 1)
    go = asyncio.Event()

    async def slow(operator: str, request: bytes) -> bytes:
        await go.wait()
        return b"done"

    services = await served(bus.connection, Command(what="slow", answer=slow, description="waits"))
    async with asyncio.timeout(3), asyncio.TaskGroup() as group:
        first = group.create_task(ask(bus.connection, "ann", "slow"))
        await asyncio.sleep(0)
        with pytest.raises(BusError, match="in a moment"):
            await ask(bus.connection, "ann", "slow")
        go.set()
    await services.close()

    assert first.result() == b"done"


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("operator", ["", "a.b", "*", "a b", ">"])
async def test_an_operator_is_one_word(bus: JetStream, operator: str) -> None:
    with pytest.raises(Denied, match="not a name"):
        await ask(bus.connection, operator, "whoami")


@pytest.mark.usefixtures("services")
async def test_the_nats_command_line_can_see_it(bus: JetStream) -> None:
    reply = await bus.connection.request("$SRV.INFO.yellowbus-router")
    info = json.loads(reply.data)

    assert (info["version"], info["description"]) == ("2026.11.0", "The router")
    endpoints = {e["name"]: e for e in info["endpoints"]}
    assert endpoints["hold-approve"]["subject"] == "cmd.*.hold.approve"
    assert endpoints["whoami"]["metadata"] == {"description": "does whoami"}


async def test_who_asks_as_soon_as_it_serves_is_answered(bus: JetStream, nats_address: Address) -> None:
    async with JetStream.connect(nats_address) as other:
        for _ in range(20):
            services = await served(bus.connection)
            assert services.ready
            assert await ask(other.connection, "ann", "whoami") == b"ann:"
            await services.close()
            await bus.connection.client.flush()


async def test_it_answers_again_after_a_cut(bus: JetStream, nats_server: NatsServer) -> None:
    async with Wire(nats_server.port) as cable, JetStream.connect(cable.address) as far:
        services = await served(far.connection)
        client = far.connection.client
        cable.cut()
        await eventually(lambda: far.connection.client is not client and services.ready)

        assert await ask(bus.connection, "ann", "whoami") == b"ann:"
        await services.close()
        await services.close()
