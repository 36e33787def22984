"""A real nats-server for tests: started, killed and started again, and a wire to it that can be cut."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from bus.connection import Address, ApiError
from bus.embedded import binary
from bus.jetstream import JetStream

_STORE_FAILED = 10049

CONF = """\
listen: 127.0.0.1:{port}
max_payload: 1MB
jetstream {{ store_dir: {store}, sync_interval: {sync} }}
feature_flags {{ js_ack_fc_v2: {ack_v2} }}
{extra}
"""


class NatsServer:
    """One on a port of its own, its store in `folder`. `kill` is SIGKILL; `start` again finds the store."""

    def __init__(self, folder: Path, *, extra: str = "", sync: str = '"2m"', ack_v2: bool = False) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._conf = folder / "nats.conf"
        self._log = folder / "nats.log"
        store = json.dumps(str(folder / "jetstream"))
        flag = "true" if ack_v2 else "false"
        self._conf.write_text(CONF.format(port=self.port, store=store, sync=sync, ack_v2=flag, extra=extra))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Address:
        return Address(url=f"nats://127.0.0.1:{self.port}")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([binary(), "-c", self._conf], stdout=log, stderr=log)
        until = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < until, self._log.read_text()
            time.sleep(0.01)

    def kill(self, how: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its sockets and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until all its threads stand still

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as knock:
                return knock.recv(4) == b"INFO"
        except OSError:
            return False

    def __enter__(self) -> "NatsServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Wire:
    """A TCP proxy before a server. `deaf`: what the server says is swallowed; without `flowing`, it is held
    back. `cut` ends all connections. `heard`: how often something was said to the server.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.deaf = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.refusing = False
        self.heard = 0
        self.port = 0

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)
        await self._server.wait_closed()

    @property
    def address(self) -> Address:
        return Address(url=f"nats://127.0.0.1:{self.port}")

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:  # nobody is there
            writer.transport.abort()
            return
        self._writers |= {writer, there}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there, False))
                group.create_task(self._pump(there_reader, writer, True))
        finally:
            for end in (writer, there):
                end.transport.abort()
                self._writers.discard(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, from_server: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                if from_server:
                    await self.flowing.wait()
                else:
                    self.heard += 1
                if not (from_server and self.deaf):
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()


async def eventually(true: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


async def clean(bus: JetStream) -> None:
    """All streams new and empty."""
    there = await bus.connection.api("STREAM.NAMES")
    for name in there["streams"] or ():
        await bus.connection.api(f"STREAM.DELETE.{name}")
    async with asyncio.timeout(10):
        while True:
            try:
                await bus.provision()
                return
            except ApiError as error:
                if error.code != _STORE_FAILED:
                    raise
                await asyncio.sleep(
                    0.02
                )  # the server takes the folder of a stream away after it has answered
