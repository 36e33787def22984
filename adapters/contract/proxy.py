"""A proxy in front of a real HTTP service that spoils one request, and remembers all of them."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from adapters.web.answers import trust

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEAD_END: Final = b"\r\n\r\n"


class Request(NamedTuple):
    """One request as it came through."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Forward = Callable[[], Awaitable[bytes]]
Fault = Callable[[Forward], Awaitable[bytes]]
"""Gets a way to ask the service, gives the bytes to answer: all, some or none of an answer."""


def answer(status: int, body: str = "", **headers: str) -> Fault:
    """Answer instead of the service."""
    given = {"Content_Type": "application/json", "Content_Length": str(len(body.encode())), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())

    async def spoil(_: Forward) -> bytes:
        return f"HTTP/1.1 {status} Because\r\n{lines}Connection: close\r\n\r\n{body}".encode()

    return spoil


async def cut_before(_: Forward) -> bytes:
    """The connection breaks before the service has seen the request."""
    return b""


async def cut_after(forward: Forward) -> bytes:
    """The service has done it; the connection breaks before any answer."""
    await forward()
    return b""


async def cut_in_answer(forward: Forward) -> bytes:
    """The service has done it; the connection breaks in the middle of the answer's body."""
    head, _, body = (await forward()).partition(_HEAD_END)
    return head + _HEAD_END + body[: len(body) // 2]


async def hang_before(_: Forward) -> bytes:
    """The service takes the request, and nothing ever comes."""
    await asyncio.Event().wait()
    return b""


async def hang_after(forward: Forward) -> bytes:
    """The service has done it, and nothing ever comes."""
    await forward()
    return await hang_before(forward)


def first(action: Callable[[], object]) -> Fault:
    """Somebody else does something at the service just before."""

    async def spoil(forward: Forward) -> bytes:
        await asyncio.to_thread(action)
        return await forward()

    return spoil


class _Spoiled(NamedTuple):
    """The next request that `wanted` says yes to, or all from then on."""

    wanted: Callable[[Request], bool]
    fault: Fault
    lasts: bool


@dataclass
class Proxy:
    """A fault spoils one request, or if it `lasts`, all from that one on; the rest goes through. `path`: what
    that of a spoiled one holds.
    """

    url: str = ""
    path: str = ""
    requests: list[Request] = field(default_factory=list)
    at_once_max: int = 0
    _at_once: int = 0
    _faults: list[_Spoiled] = field(default_factory=list)
    _lasting: Fault | None = None
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    def spoil(self, method: str, fault: Fault, path: str | None = None) -> None:
        """The next request of a method to a path that holds a word."""
        word = self.path if path is None else path
        self._spoil(fault, lambda request: request.method == method and word in request.path)

    def spoil_write(self, fault: Fault, *, lasts: bool = False) -> None:
        """The next request that may change something."""
        self._spoil(fault, lambda request: request.method not in READS, lasts)

    def spoil_nth(self, nth: int, fault: Fault, *, lasts: bool = False) -> None:
        """The n-th request from now on, counted from 0."""
        number = len(self.requests) + nth + 1
        self._spoil(fault, lambda _: len(self.requests) == number, lasts)

    def mend(self) -> bool:
        """Spoil nothing more. Was there a fault whose request never came?"""
        left = bool(self._faults)
        self._faults.clear()
        self._lasting = None
        return left

    @property
    def writes(self) -> list[str]:
        return [request.method for request in self.requests if request.method not in READS]

    def _spoil(self, fault: Fault, wanted: Callable[[Request], bool], lasts: bool = False) -> None:
        self._faults.append(_Spoiled(wanted, fault, lasts))

    def _fault_for(self, request: Request) -> Fault | None:
        for spoiled in self._faults:
            if spoiled.wanted(request):
                self._faults.remove(spoiled)
                if spoiled.lasts:
                    self._lasting = spoiled.fault
                return spoiled.fault
        return self._lasting

    async def serve(
        self, service: "_Service", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One connection: one request."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            request = await _request(reader)
            self.requests.append(request)
            self._at_once += 1
            self.at_once_max = max(self.at_once_max, self._at_once)

            async def forward() -> bytes:
                return await service.ask(request)

            fault = self._fault_for(request)
            try:
                writer.write(await (fault(forward) if fault else forward()))
            finally:
                self._at_once -= 1
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has gone, or the service is not there: both see a connection that breaks
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """Let go of what hangs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(_HEAD_END)
    start, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = start.split(" ")
    if headers.pop("transfer-encoding", "") == "chunked":
        body = b"".join([chunk async for chunk in _chunks(reader)])
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """RFC 9112 section 7.1, without trailers."""
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)


class _Service(NamedTuple):
    """Where the requests go."""

    host: str
    port: int
    authority: str
    tls: ssl.SSLContext | None

    async def ask(self, request: Request) -> bytes:
        """The bytes of its whole answer, which closes the connection. Raises OSError."""
        headers = {**request.headers, "host": self.authority, "connection": "close"}
        if request.body:
            headers["content-length"] = str(len(request.body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls)
        try:
            writer.write(head + request.body)
            given, _, body = (await reader.read()).partition(_HEAD_END)
        finally:
            writer.close()
        if b"\r\nconnection:" not in given.lower():
            given += b"\r\nConnection: close"
        return given + _HEAD_END + body


@asynccontextmanager
async def proxy_for(url: str, path: str = "", *, verify: bool | Path = True) -> AsyncIterator[Proxy]:
    """A proxy for the service at `url` (http://host:port/path, or https). Raises ConfigError."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    service = _Service(parts.hostname or "", port, parts.netloc.rpartition("@")[2], _tls(url, verify))
    proxy = Proxy(path=path)
    server = await asyncio.start_server(
        lambda reader, writer: proxy.serve(service, reader, writer), "127.0.0.1", 0
    )
    here = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    proxy.url = urlunsplit(("http", here, parts.path, "", ""))
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()


def _tls(url: str, verify: bool | Path) -> ssl.SSLContext | None:
    if not url.startswith("https:"):
        return None
    found = trust(url, verify, "proxy")
    if isinstance(found, ssl.SSLContext):
        return found
    context = ssl.create_default_context()
    if not found:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
