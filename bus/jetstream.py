"""The bus on nats-server: `bus.port.Bus`, put together from its parts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from bus.adapter import Sleep
from bus.connection import Address, ApiError, Connection, connect
from bus.consume import PullConsumer
from bus.errors import Unavailable
from bus.port import Message, Stored, StreamInfo
from bus.provision import provision, provision_consumer
from bus.publish import Publisher
from bus.read import Reader
from bus.topology import Drift, Durable


class JetStream:
    """Streams to write, follow and look into, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._publisher = Publisher(connection)
        self._reader = Reader(connection)
        self._consumers: list[PullConsumer] = []

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        address: Address,
        *,
        sleep: Sleep = asyncio.sleep,
        now_s: Callable[[], float] = time.monotonic,
    ) -> AsyncIterator["JetStream"]:
        """Connect, and stay connected until the block ends. Raises Unavailable or ConfigError."""
        async with connect(address, sleep=sleep, now_s=now_s) as connection:
            bus = cls(connection)
            try:
                yield bus
            finally:
                await bus.close()

    async def provision(self, *, replicas: int = 1) -> list[Drift]:
        """Make the streams that are not there, update the others; return what differed."""
        return await provision(self.connection, replicas=replicas)

    async def publish(self, stream: str, messages: Sequence[Message]) -> list[int]:
        return await self._publisher.publish(stream, messages)

    async def consume(
        self,
        stream: str,
        name: str,
        *,
        filters: Sequence[str] = (),
        start: str = "all",
        batch: int = 500,
    ) -> PullConsumer:
        durable = Durable(stream=stream, name=name, filters=tuple(filters), start=start, batch=batch)
        await provision_consumer(self.connection, durable)
        consumer = PullConsumer(self.connection, stream, name, batch)
        await consumer.begin()
        self.connection.listen(consumer)
        self._consumers.append(consumer)
        return consumer

    async def place(self, stream: str, name: str, *, filters: Sequence[str] = ()) -> int:
        await provision_consumer(self.connection, Durable(stream=stream, name=name, filters=tuple(filters)))
        info = await self.connection.api(f"CONSUMER.INFO.{stream}.{name}")
        return int(info["ack_floor"]["stream_seq"])

    async def move(self, stream: str, name: str, seq: int) -> None:
        # A reset with a sequence (ADR-60) moves the durable without a delivery, forward too (2.15.1, tried).
        await self._change("RESET", stream, name, {"seq": seq + 1})

    async def pause(self, stream: str, name: str, until_ms: int) -> None:
        # It outlives resets, updates and restarts of the server (ADR-42; 2.15.1, tried).
        until = datetime.fromtimestamp(until_ms / 1000, UTC).isoformat()
        await self._change("PAUSE", stream, name, {"pause_until": until} if until_ms else {})

    async def _change(self, what: str, stream: str, name: str, body: Mapping[str, object]) -> None:
        try:
            await self.connection.api(f"CONSUMER.{what}.{stream}.{name}", body)
        except ApiError as error:
            raise Unavailable(f"{stream}.{name}: {error.message}", runbook="bus-consumer-gone") from error

    def read(
        self,
        stream: str,
        *,
        first_seq: int = 1,
        subject: str = ">",
        last_seq: int | None = None,
        since_ms: int = 0,
    ) -> AsyncIterator[list[Stored]]:
        return self._reader.read(
            stream, first_seq=first_seq, subject=subject, last_seq=last_seq, since_ms=since_ms
        )

    async def last(self, stream: str, subject: str) -> Stored | None:
        return await self._reader.last(stream, subject)

    async def info(self, stream: str) -> StreamInfo:
        return await self._reader.info(stream)

    async def close(self) -> None:
        """Stop every consumer. Twice is fine."""
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            await consumer.close()
