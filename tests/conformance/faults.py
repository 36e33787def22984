"""A proxy in front of a real HTTP service that spoils one request, and remembers all of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple


class Request(NamedTuple):
    """One request as it came through."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body)


Forward = Callable[[], Awaitable[bytes]]
Fault = Callable[[Forward], Awaitable[bytes]]
"""Gets a way to ask the service, gives the bytes to answer: all, some or none of an answer."""


def answer(status: int, body: str = "", **headers: str) -> Fault:
    """Answer instead of the service."""
    given = {"Content-Type": "application/scim+json", "Content-Length": str(len(body.encode())), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())

    async def spoil(_: Forward) -> bytes:
        return f"HTTP/1.1 {status} Because\r\n{lines}\r\n{body}".encode()

    return spoil


def error(status: int, scim_type: str = "", detail: str = "", **headers: str) -> Fault:
    """A SCIM error (RFC 7644 section 3.12)."""
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": str(status),
        "scimType": scim_type,
        "detail": detail,
    }
    return answer(status, json.dumps(body), **headers)


async def cut_before(_: Forward) -> bytes:
    """The connection breaks before the service has seen the request."""
    return b""


async def cut_in_answer(forward: Forward) -> bytes:
    """The service has done it; the connection breaks in the middle of the answer's body."""
    whole = await forward()
    return whole[: whole.index(b"\r\n\r\n") + 20]


def first(action: Callable[[], object]) -> Fault:
    """Somebody else does something at the service just before."""

    async def spoil(forward: Forward) -> bytes:
        await asyncio.to_thread(action)
        return await forward()

    return spoil


@dataclass
class Proxy:
    """`spoil` the next request of a method to a path that holds a word; the rest goes through."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    at_once_max: int = 0
    _at_once: int = 0
    _faults: list[tuple[str, str, Fault]] = field(default_factory=list)

    def spoil(self, method: str, fault: Fault, path: str = "/Users") -> None:
        self._faults.append((method, path, fault))

    @property
    def writes(self) -> list[str]:
        return [request.method for request in self.requests if request.method != "GET"]

    def _fault_for(self, request: Request) -> Fault | None:
        for n, (method, path, fault) in enumerate(self._faults):
            if method == request.method and path in request.path:
                del self._faults[n]
                return fault
        return None

    async def serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            start, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, path, _ = start.split(" ")
            request = Request(method, path, headers, body)
            self.requests.append(request)
            self._at_once += 1
            self.at_once_max = max(self.at_once_max, self._at_once)

            async def forward() -> bytes:
                return await _ask(port, head + body)

            fault = self._fault_for(request)
            writer.write(await (fault(forward) if fault else forward()))
            self._at_once -= 1
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()


async def _ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def proxy_for(url: str) -> AsyncIterator[Proxy]:
    """A proxy for the service at `url` (http://host:port/path)."""
    _, _, address, path = url.split("/", 3)
    port = int(address.rpartition(":")[2])
    proxy = Proxy()
    server = await asyncio.start_server(
        lambda reader, writer: proxy.serve(port, reader, writer), "127.0.0.1", 0
    )
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{path}"
    try:
        yield proxy
    finally:
        server.close()
        await server.wait_closed()
