"""A real nats-server for the session, and a clean, provisioned bus for each test that wants one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from real_nats import NatsServer, clean

from bus.connection import Address
from bus.jetstream import JetStream


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server on a free port with a store of its own; writes are not synced, for speed."""
    folder: Path = tmp_path_factory.mktemp("nats")
    with NatsServer(folder) as server:
        yield server


@pytest.fixture
def nats_address(nats_server: NatsServer) -> Address:
    return nats_server.address


@pytest.fixture
async def bus(nats_address: Address) -> AsyncIterator[JetStream]:
    """JetStream with all streams of yellowbus, empty."""
    async with JetStream.connect(nats_address) as bus:
        await clean(bus)
        yield bus
