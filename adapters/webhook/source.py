"""One sender's door: each request is believed, read whole and on the bus before it is answered with 202.

A request that is posted again is harmless: the ids of its events are known. Bodies are never logged.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Final

import aiohttp
from aiohttp import web
from pydantic import Field, SecretStr

from adapters.webhook.events import TooMany, read_events
from adapters.webhook.signature import NotSigned, check_signature, check_time
from adapters.webhook.site import RETRY_S, Address, Door, answer, unavailable
from bus import adapter
from bus.adapter import Said, Surroundings, Take, Unsound
from bus.errors import StreamFull, Unavailable

BODY_WITHIN_S: Final = 15.0
AT_ONCE_MAX: Final = 16
"""Requests of one sender under way: with the size limit, all the memory that it can take."""
CHECK_WITHIN_S: Final = 5.0


class SourceSettings(adapter.Settings):
    """`path`, `host`, `port`: where the system posts to; systems may share host and port. Put a proxy with
    TLS before it if the sender is not on this machine. `secret`: what both sign with. `replay_window_s`: how
    far the time of a request may be from our clock.
    """

    path: str = Field(pattern=r"^/[^?#\s]*$")
    secret: SecretStr = Field(min_length=8)
    host: str = "127.0.0.1"
    port: int = Field(default=8089, ge=1, le=65535)
    replay_window_s: float = Field(default=300.0, gt=0)
    body_bytes_max: int = Field(default=1 << 20, ge=1)
    events_max: int = Field(default=500, ge=1)


class _No(Exception):
    """An answer that is no success, for a request of which nothing was taken."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.answer = answer(status, {"error": why}, headers)


class Source:
    """A system that posts its news."""

    own_clock = True
    """What was not long under way is dated by our clock, the rest by how old it was when it was sent."""

    def __init__(self, settings: SourceSettings, surroundings: Surroundings) -> None:
        """Raises ConfigError if another system listens at the same path."""
        self._settings = settings
        self._system = surroundings.system
        self._secret = settings.secret.get_secret_value().encode()
        self._now_ms = surroundings.now_ms
        self._address: Address = (settings.host, settings.port)
        self._door = Door(self._system, self._address, settings.path)
        self._under_way = 0

    async def check(self) -> None:
        """Can we listen there, or do we already? Raises Unavailable."""
        if self._door.is_listened_at:
            return
        try:
            with socket.create_server(self._address, family=_family(self._settings.host)):
                return
        except OSError as error:
            if not await self._is_ours():
                raise unavailable(self._address, error) from error

    async def listen(self, take: Take) -> None:
        """Answer requests until cancelled. Raises Unavailable if the address cannot be had."""

        async def handle(request: web.BaseRequest) -> web.Response:
            return await self._answered(request, take)

        async with self._door.opened(handle):
            await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Let go of the path. Twice is fine."""
        self._door.release()

    async def _is_ours(self) -> bool:
        """A running router listens there: it says so to who asks in the wrong way."""
        url = f"http://{_reachable(self._settings.host)}:{self._settings.port}{self._settings.path}"
        timeout = aiohttp.ClientTimeout(total=CHECK_WITHIN_S)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as found:
                return found.status == 405 and found.headers.get("Allow") == "POST"
        return False

    # -- one request

    async def _answered(self, request: web.BaseRequest, take: Take) -> web.Response:
        try:
            with self._in_turn():
                said = await self._believed(request)
                await take(said)
        except _No as no:
            return no.answer
        except Unsound as unsound:
            says = {"error": unsound.reason, "event": unsound.index, "field": unsound.field}
            return answer(422, says)
        except Unavailable as error:
            return _later("not now: nothing was taken", error.retry_after_s)
        except StreamFull:
            return _later("no room: nothing was taken", None)
        return answer(202, {"taken": len(said)})

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        if self._under_way >= AT_ONCE_MAX:
            raise _No(429, f"{AT_ONCE_MAX} requests are under way", {"Retry-After": "1"})
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _believed(self, request: web.BaseRequest) -> list[Said]:
        """What the request says. Raises _No or Unsound."""
        if request.method != "POST":
            raise _No(405, "only POST", {"Allow": "POST"})
        if request.content_type != "application/json" or "Content-Encoding" in request.headers:
            raise _No(415, "application/json, not compressed, expected")
        try:
            timestamp = check_time(request.headers, self._now_ms(), self._settings.replay_window_s)
            body = await self._body(request)
            check_signature(self._secret, request.headers, timestamp, body)
        except NotSigned as not_signed:
            raise _No(401, str(not_signed)) from None
        try:
            return read_events(body, self._settings.events_max, int(float(timestamp) * 1000))
        except TooMany:
            raise _No(413, f"more than {self._settings.events_max} events: send them in parts") from None

    async def _body(self, request: web.BaseRequest) -> bytes:
        bytes_max = self._settings.body_bytes_max
        too_large = f"a body of more than {bytes_max} bytes: send it in parts"
        if (request.content_length or 0) > bytes_max:
            raise _No(413, too_large)
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                async for part in request.content.iter_any():
                    body += part
                    if len(body) > bytes_max:
                        raise _No(413, too_large)
        except TimeoutError:
            raise _No(408, f"the body did not come within {BODY_WITHIN_S:g} s") from None
        return bytes(body)


def _later(why: str, retry_after_s: float | None) -> web.Response:
    seconds = RETRY_S if retry_after_s is None else max(1, round(retry_after_s))
    return answer(503, {"error": why}, {"Retry-After": str(seconds)})


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _reachable(host: str) -> str:
    """The host as one asks it from here."""
    if host in ("", "0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host
