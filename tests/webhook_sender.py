"""A webhook listener on a free port, and a sender that signs."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from real_nats import eventually

from adapters.webhook import Source, SourceSettings
from adapters.webhook.signature import SIGNATURE, TIMESTAMP, sign
from bus.adapter import Said, Surroundings

SECRET = "a secret of the lms"
NOW_S = 1_795_532_645


class Taken(list[Said]):
    """What was taken. `then` happens first, each time."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, said: Sequence[Said]) -> None:
        if self.then is not None:
            await self.then()
        self.extend(said)


class Sender:
    """Posts to one path, signed as the format says unless told otherwise."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def post(self, says: Any, **headers: str | None) -> tuple[int, dict[str, Any], dict[str, str]]:
        body = says if isinstance(says, bytes) else json.dumps(says).encode()
        given = {
            "Content-Type": "application/json",
            TIMESTAMP: str(NOW_S),
            SIGNATURE: sign(SECRET.encode(), str(NOW_S), body),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent = {name: value for name, value in given.items() if value is not None}
        async with self._session.post(self.url, data=body, headers=sent) as answer:
            return answer.status, await answer.json(), dict(answer.headers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listens(port: int) -> None:
    """Wait until somebody does."""

    def is_open() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    await eventually(is_open)


def make(port: int, tmp_path: Path, *, path: str = "/lms", system: str = "lms", **settings: Any) -> Source:
    given = {"path": path, "secret": SECRET, "port": port, **settings}
    return Source(
        SourceSettings.model_validate(given),
        Surroundings(system=system, state=tmp_path, now_ms=lambda: NOW_S * 1000, sleep=asyncio.sleep),
    )


@asynccontextmanager
async def listening(source: Source, take: Taken) -> AsyncIterator[None]:
    """It listens while the block runs."""
    task = asyncio.ensure_future(source.listen(take))
    paths = source._door._site.paths
    await eventually(lambda: paths[source._settings.path] or task.done())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
