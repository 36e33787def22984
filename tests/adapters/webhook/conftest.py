"""A listener on a free port, and a sender that signs."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from webhook_sender import Sender, Taken, free_port, listening, make


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
async def sender(
    port: int, tmp_path: Path, taken: Taken, session: aiohttp.ClientSession
) -> AsyncIterator[Sender]:
    source = make(port, tmp_path, body_bytes_max=2000, events_max=3)
    async with listening(source, taken):
        yield Sender(session, f"http://127.0.0.1:{port}/lms")
    await source.close()
