"""The connection: it notices that it is dead, tells everybody at once, and is replaced."""

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from real_nats import NatsServer, Wire, eventually

from bus.connection import Address, ApiError, Connection, connect
from bus.errors import ConfigError, Denied, Unavailable
from bus.wire import wire


async def quick(delay_s: float) -> None:
    """A sleep in which five seconds are a twentieth of one."""
    await asyncio.sleep(delay_s / 100)


def fast_clock() -> Callable[[], float]:
    loop = asyncio.get_running_loop()
    return lambda: loop.time() * 100


class Heard:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ticks = 0

    def lost(self) -> None:
        self.told.append("lost")

    def restored(self) -> None:
        self.told.append("restored")

    def tick(self, now_s: float) -> None:
        self.ticks += 1


async def test_a_request_is_answered_and_its_error_has_the_servers_text(nats_address: Address) -> None:
    async with connect(nats_address) as connection:
        info = await connection.api("INFO")

        assert "streams" in info
        with pytest.raises(ApiError, match=r"STREAM.INFO.NONE.*not found \(10059\)"):
            await connection.api("STREAM.INFO.NONE")


async def test_nobody_there_is_unavailable_with_the_address(nats_server: NatsServer) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1:"):
        async with connect(Address(url="nats://127.0.0.1:1")):
            pass


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    with NatsServer(tmp_path, extra="authorization {user: a, password: b}") as server:
        with pytest.raises(Unavailable, match=r"(?i)authorization"):
            async with connect(Address(url=server.address.url, user="a", password="wrong")):
                pass
        async with connect(Address(url=server.address.url, user="a", password="b")) as connection:
            assert connection.up


async def test_a_token_and_an_inbox_prefix_are_used(tmp_path: Path) -> None:
    with NatsServer(tmp_path, extra="authorization {token: secret}") as server:
        address = Address(url=server.address.url, token="secret", inbox_prefix="_INBOX_router")
        async with connect(address) as connection:
            assert connection.new_inbox().startswith("_INBOX_router.")
            assert await connection.api("INFO")


async def test_a_creds_file_without_its_package_is_a_setting_that_is_wrong(nats_address: Address) -> None:
    with pytest.raises((ConfigError, Unavailable), match=r"nkeys|x\.creds"):
        async with connect(Address(url=nats_address.url, credentials="x.creds")):
            pass


async def test_an_error_inside_the_block_comes_out_as_it_is(nats_address: Address) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with connect(nats_address):
            raise LookupError("mine")


async def test_a_cut_fails_all_that_waits_and_the_next_connection_works(nats_server: NatsServer) -> None:
    async with Wire(nats_server.port) as cable, connect(cable.address) as connection:
        heard = Heard()
        connection.listen(heard)
        cable.deaf = True
        _, answer = connection.expect(("nobody",))
        asking = asyncio.ensure_future(connection.request("$JS.API.INFO"))
        await asyncio.sleep(0.02)
        cable.cut()
        async with asyncio.timeout(0.5):
            with pytest.raises(Unavailable):
                await asking
            with pytest.raises(Unavailable):
                await answer
        with pytest.raises(Unavailable):
            await connection.request("$JS.API.INFO")
        cable.deaf = False
        await eventually(lambda: heard.told == ["lost", "restored"])

        assert await connection.api("INFO")


async def test_two_silences_of_the_watchdog_replace_the_connection(nats_server: NatsServer) -> None:
    async with (
        Wire(nats_server.port) as cable,
        connect(cable.address, sleep=quick, now_s=fast_clock()) as connection,
    ):
        heard, first = Heard(), connection.client
        connection.listen(heard)
        await eventually(lambda: (connection.answered_at_s or 0) > (connection.alive_since_s or 0))
        cable.deaf = True
        await eventually(lambda: "lost" in heard.told)
        assert connection.alive_since_s is None
        cable.deaf = False
        await eventually(lambda: connection.up)

        assert connection.client is not first
        assert await connection.api("INFO")


async def test_a_callback_that_raises_does_not_end_the_connection(
    nats_address: Address, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(nats_address) as connection:

        async def bad(_: object) -> None:
            raise RuntimeError("a bug in a callback")

        with caplog.at_level(logging.INFO):
            await connection.subscribe("noise.>", bad)
            await connection.write(wire("noise.a", "", "", b""))
            assert await connection.api("INFO")

        assert connection.up


async def test_a_dead_read_task_is_noticed_at_once(nats_address: Address) -> None:
    async with connect(nats_address) as connection:
        heard, client = Heard(), connection.client
        connection.listen(heard)
        assert client._reading_task is not None
        client._reading_task.cancel()
        await eventually(lambda: heard.told == ["lost", "restored"], within_s=2)

        assert await connection.api("INFO")


async def test_a_connection_that_ends_at_once_again_and_again_is_made_slowly(
    nats_address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_s = 4.321
    monkeypatch.setattr("bus.connection.RECONNECT_WAIT_S", wait_s)
    slept: list[float] = []

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)
        await asyncio.sleep(0 if delay_s == wait_s else 3600)

    async with connect(nats_address, sleep=sleep) as connection:
        for _ in range(5):
            connection.fall("a bug that comes back")
            await eventually(lambda: connection.up)

    assert slept.count(wait_s) == 5


async def test_a_denied_request_is_told_at_once(tmp_path: Path) -> None:
    few = '{user: few, password: x, permissions: {publish: ["a"], subscribe: ">"}}'
    rights = f"authorization {{ users: [{few}] }}"
    with NatsServer(tmp_path, extra=rights) as server:
        address = Address(url=server.address.url, user="few", password="x")
        async with connect(address) as connection, asyncio.timeout(1):
            with pytest.raises(Denied, match=r"few may not publish to \$JS\.API\.INFO"):
                await connection.api("INFO")

            assert connection.up


async def test_a_deadline_ends_a_wait(nats_address: Address) -> None:
    async with connect(nats_address, sleep=quick, now_s=fast_clock()) as connection:

        async def mute(_: object) -> None:
            pass

        await connection.subscribe("mute", mute)
        async with asyncio.timeout(2):
            with pytest.raises(Unavailable, match="in time"):
                await connection.request("mute", timeout_s=3)


async def test_a_caller_that_gave_up_leaves_nothing_behind(nats_address: Address) -> None:
    async with connect(nats_address, sleep=quick, now_s=fast_clock()) as connection:

        async def mute(_: object) -> None:
            pass

        await connection.subscribe("mute", mute)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connection.request("mute", timeout_s=3)
        await eventually(lambda: len(connection._replies) == 0)


async def test_a_bug_in_spawned_work_ends_the_block(nats_address: Address) -> None:
    async def bug() -> None:
        raise LookupError("bug")

    with pytest.raises(BaseExceptionGroup) as raised:
        async with connect(nats_address) as connection:
            connection.spawn(bug())
            await asyncio.sleep(5)

    assert isinstance(raised.value.exceptions[0], LookupError)


async def test_spawned_work_may_find_the_server_gone(nats_address: Address) -> None:
    async def gone() -> None:
        raise Unavailable("as it happens")

    async with connect(nats_address) as connection:
        await connection.spawn(gone())

        assert connection.up


async def test_spawned_work_that_never_began_is_no_warning(nats_address: Address) -> None:
    began = []

    async def work() -> None:
        began.append(1)

    async with connect(nats_address) as connection:
        connection.spawn(work()).cancel()
    gc.collect()

    assert began == []


def test_a_subject_cannot_smuggle_a_command() -> None:
    for subject in ("", "a b", "a\r\nPUB b 0", "a\tb", "a\x00"):
        with pytest.raises(ValueError, match="subject"):
            wire(subject, "", "", b"")


async def test_after_its_block_it_is_closed(nats_address: Address) -> None:
    async with connect(nats_address) as connection:
        kept: Connection = connection

    assert not kept.up
    with pytest.raises(Unavailable, match="closed"):
        await kept.request("$JS.API.INFO")


def test_what_was_not_sent_before_a_cut_is_let_go_with_the_connection(nats_server: NatsServer) -> None:
    """On the router's loop a write to a socket that is gone raises, amid nats-py's clearing up."""

    async def cut() -> None:
        async with connect(Address(url=f"nats://127.0.0.1:{nats_server.port}")) as connection:
            client = connection.client
            client._transport._io_writer.transport.abort()
            client._pending.append(b"PING\r\n")
            client._pending_data_size = 6
            await client._process_op_err(OSError())
            assert client.is_closed

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(cut())
