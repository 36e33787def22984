"""Endpoints that take what is posted, as fast as may be: they are not what is measured."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import uvloop

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length:"


class Endpoint(asyncio.Protocol):
    """HTTP/1.1 with bodies of a known length, kept alive. GET /received says how many records came."""

    received = 0

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        answers = []
        while (at := self._held.find(HEAD_END)) >= 0:
            head = self._held[:at].lower()
            where = head.find(LENGTH)
            size = int(head[where + len(LENGTH) :].split(b"\r\n", 1)[0]) if where >= 0 else 0
            end = at + len(HEAD_END) + size
            if len(self._held) < end:
                break
            body, self._held = self._held[at + len(HEAD_END) : end], self._held[end:]
            answers.append(self._answered(head, body))
        if answers:
            self._transport.write(b"".join(answers))

    def _answered(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"get /received"):
            text = str(Endpoint.received).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        if body.startswith(b'{"records"'):
            Endpoint.received += len(json.loads(body)["records"])
            return ANSWER
        Endpoint.received += bool(body)
        return ANSWER


async def _serve(count: int) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Endpoint, "127.0.0.1", 0) for _ in range(count)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await loop.create_future()


@contextmanager
def sink(count: int) -> Iterator[list[int]]:
    """So many endpoints in a process of their own; their ports."""
    with subprocess.Popen([sys.executable, __file__, str(count)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
