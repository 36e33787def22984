"""One address where systems tell us things: a server for all the listeners of this process that share it.

A path is reserved when its listener is made, and answered by it while it listens. Who comes in between is
asked to come again: a 404 would be taken for good.
"""

import asyncio
import contextlib
import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from bus.errors import ConfigError, Unavailable

Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]
Address = tuple[str, int]

RETRY_S: Final = 5
DRAIN_S: Final = 5.0
"""How long a stop waits for requests that are under way."""

_SITES: Final[dict[Address, "Site"]] = {}
"""The addresses of this process: the only thing that one listener knows of the others."""


class Site:
    """An address with its paths; open while any of them is listened at."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.paths: dict[str, Handler | None] = {}
        self._turn = asyncio.Lock()
        self._listeners = 0
        self._runner: web.ServerRunner | None = None

    @property
    def is_open(self) -> bool:
        return self._runner is not None

    async def enter(self) -> None:
        """One more listens. Raises Unavailable if the address cannot be had."""
        async with self._turn:
            if self._runner is None:
                self._runner = await self._opened()
            self._listeners += 1

    async def leave(self) -> None:
        """One less; the last one closes it, after what is under way."""
        async with self._turn:
            self._listeners -= 1
            if self._runner is not None and not self._listeners:
                runner, self._runner = self._runner, None
                await runner.cleanup()

    async def _opened(self) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=DRAIN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, *self.address).start()
        except OSError as error:
            await runner.cleanup()
            raise unavailable(self.address, error) from error
        return runner

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.path not in self.paths:
            return answer(404, {"error": "nothing listens at this path"})
        handler = self.paths[request.path]
        if handler is None:
            return answer(503, {"error": "not listening yet"}, {"Retry-After": str(RETRY_S)})
        return await handler(request)


class Door:
    """One path of an address, for one listener. Raises ConfigError if another one has it."""

    def __init__(self, system: str, address: Address, path: str) -> None:
        self._site = _SITES.setdefault(address, Site(address))
        if path in self._site.paths:
            raise ConfigError(f"{system}: another system listens at {path} on {_named(address)} already")
        self._path = path
        self._site.paths[path] = None
        self._reserved = True

    @contextlib.asynccontextmanager
    async def opened(self, handler: Handler) -> AsyncIterator[None]:
        """Let this handler answer what comes to the path. Raises Unavailable."""
        await self._site.enter()
        self._site.paths[self._path] = handler
        try:
            yield
        finally:
            if self._reserved:
                self._site.paths[self._path] = None
            await self._site.leave()

    @property
    def is_listened_at(self) -> bool:
        """This process has the address already."""
        return self._site.is_open

    def release(self) -> None:
        """Let go of the path. Twice is fine."""
        if not self._reserved:
            return
        self._reserved = False
        del self._site.paths[self._path]
        if not self._site.paths:
            del _SITES[self._site.address]


def answer(status: int, says: Mapping[str, object], headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer in JSON."""
    body = json.dumps(says).encode()
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def unavailable(address: Address, error: OSError) -> Unavailable:
    """Why an address cannot be had."""
    what = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or "?"
    return Unavailable(
        f"{_named(address)} cannot be listened at: {what}. See host and port in the settings",
        runbook="webhook-address",
    )


def _named(address: Address) -> str:
    return f"{address[0]}:{address[1]}"
