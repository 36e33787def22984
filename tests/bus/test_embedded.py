"""The bundled server: private, remembered, and never a second one on the same folder."""

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
from real_nats import eventually

from bus.connection import Address, connect
from bus.embedded import address_in, binary, embedded
from bus.errors import Unavailable, YellowbusError
from bus.jetstream import JetStream
from bus.port import Message

OWNER = """
import asyncio, sys
import uvloop
from pathlib import Path
from bus.embedded import embedded
async def main():
    async with embedded(Path(sys.argv[1]), synced=False):
        sys.stdout.write("up"); sys.stdout.flush()
        await asyncio.sleep(60)
{"uvloop": uvloop, "asyncio": asyncio}[sys.argv[2]].run(main())
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


async def test_it_runs_for_its_block_and_keeps_port_password_and_data(tmp_path: Path) -> None:
    async with embedded(tmp_path) as first, JetStream.connect(first) as bus:
        await bus.provision()
        await bus.publish("EVENTS", [Message("event.a.b.c", b"kept")])
        pid = json.loads((tmp_path / "connection.json").read_text())["pid"]
    gone = not alive(pid)
    async with embedded(tmp_path) as second, JetStream.connect(second) as bus:
        last = await bus.last("EVENTS", "event.>")

    assert gone
    assert first == second
    assert last is not None and last.body == b"kept"


async def test_only_we_may_read_its_credential_and_nobody_connects_without(tmp_path: Path) -> None:
    async with embedded(tmp_path, synced=False) as address:
        modes = {
            name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("connection.json", "nats.conf")
        }
        assert address_in(tmp_path) == address
        with pytest.raises(Unavailable, match=r"(?i)authorization"):
            async with connect(Address(url=address.url)):
                pass

    assert modes == {"connection.json": 0o600, "nats.conf": 0o600}
    assert address.url.startswith("nats://127.0.0.1:")


@pytest.mark.parametrize(
    ("synced", "says"), [(True, "sync_interval: always"), (False, 'sync_interval: "2m"')]
)
async def test_every_write_is_synced_unless_said_otherwise(tmp_path: Path, synced: bool, says: str) -> None:
    async with embedded(tmp_path, synced=synced):
        conf = (tmp_path / "nats.conf").read_text()

    assert says in conf
    assert "js_ack_fc_v2: false" in conf and "max_payload: 1MB" in conf


async def test_a_folder_with_a_living_owner_is_refused(tmp_path: Path) -> None:
    async with embedded(tmp_path, synced=False) as address:
        with pytest.raises(Unavailable, match="another yellowbus"):
            async with embedded(tmp_path, synced=False):
                pass
        async with connect(address) as connection:
            assert connection.up


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_it_ends_with_an_owner_that_was_killed_and_the_next_goes_on(tmp_path: Path, loop: str) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, tmp_path, loop, stdout=asyncio.subprocess.PIPE
    )  # fmt: skip
    assert owner.stdout is not None and await owner.stdout.read(2) == b"up"
    server, before = json.loads((tmp_path / "connection.json").read_text())["pid"], address_in(tmp_path)
    was_alive = alive(server)
    owner.kill()
    await owner.wait()

    assert was_alive
    await eventually(lambda: not alive(server))
    async with embedded(tmp_path, synced=False) as address, connect(address) as connection:
        assert await connection.api("INFO")
    assert address == before


async def test_a_server_that_outlived_its_owner_is_stopped_by_the_next_start(tmp_path: Path) -> None:
    async with embedded(tmp_path, synced=False) as before:
        pass
    orphan = await asyncio.create_subprocess_exec(binary(), "-c", tmp_path / "nats.conf")
    said = json.loads((tmp_path / "connection.json").read_text()) | {"pid": orphan.pid}
    (tmp_path / "connection.json").write_text(json.dumps(said))

    async with embedded(tmp_path, synced=False) as address:
        assert await orphan.wait() in (0, 1, -signal.SIGTERM)
        async with connect(address) as connection:
            assert await connection.api("INFO")

    assert address == before


async def test_a_pid_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    other = await asyncio.create_subprocess_exec("sleep", "60")
    said = {"url": "nats://127.0.0.1:1", "user": "yellowbus", "password": "p", "pid": other.pid}
    (tmp_path / "connection.json").write_text(json.dumps(said))

    async with embedded(tmp_path, synced=False):
        assert other.returncode is None

    other.terminate()
    await other.wait()


async def test_a_server_that_cannot_start_tells_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "jetstream").write_text("a file where the store should be")

    with pytest.raises(Unavailable, match=r"nats\.log: nats-server ended: .*\S"):
        async with embedded(tmp_path):
            pass


async def test_a_server_killed_beneath_us_does_not_break_the_end(tmp_path: Path) -> None:
    async with embedded(tmp_path, synced=False):
        os.kill(json.loads((tmp_path / "connection.json").read_text())["pid"], signal.SIGKILL)


async def test_a_server_that_ends_by_itself_ends_the_block_in_words(tmp_path: Path) -> None:
    reached = False
    with pytest.raises(
        YellowbusError, match=r"nats\.log: the embedded nats-server ended \(signal 9\): ."
    ) as why:
        async with asyncio.timeout(10), embedded(tmp_path, synced=False):
            os.kill(json.loads((tmp_path / "connection.json").read_text())["pid"], signal.SIGKILL)
            try:
                await asyncio.Event().wait()
            finally:
                reached = True

    assert reached
    assert why.value.runbook == "bus-down"


async def test_what_the_block_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="a bug"):
        async with embedded(tmp_path, synced=False):
            raise KeyError("a bug")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1) as limit, embedded(tmp_path, synced=False):
            limit.reschedule(0.0)
            await asyncio.Event().wait()


def test_a_folder_without_a_server_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="yellowbus up"):
        address_in(tmp_path)
