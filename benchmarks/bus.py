"""Our JetStream layer against nats-py's own calls, in the same run, each on a server of its own.

python -m benchmarks bus
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import nats
from nats.aio.client import Client

from bus.connection import Address
from bus.embedded import embedded
from bus.jetstream import JetStream
from bus.port import Message

ROUNDS = 3
BODY = os.urandom(500)
MESSAGES = 20_000
MESSAGES_SYNCED = 8_000  # what publish_async does in about a second and a half
FETCH = 500
IN_FLIGHT = 4096

Rate = Callable[[Address, int], Awaitable[float]]


def run() -> list[dict[str, Any]]:
    """Measure; one row per figure. `floor` is the least ratio to the baseline of nats-py."""
    return asyncio.run(_run())


async def _run() -> list[dict[str, Any]]:
    return [
        await _row("bus: pull loop, 500", pulled, fetched, MESSAGES, 2.0, synced=False),
        await _row("bus: publisher, unsynced", published, published_async, MESSAGES, 1.5, synced=False),
        await _row(
            "bus: publisher, every write synced",
            published,
            published_async,
            MESSAGES_SYNCED,
            5.0,
            synced=True,
        ),
    ]


async def _row(
    name: str, ours: Rate, theirs: Rate, count: int, floor: float, *, synced: bool
) -> dict[str, Any]:
    # In turns, so that a busy machine is busy for both.
    mine, baseline = [], []
    for _ in range(ROUNDS):
        baseline.append(await _measured(theirs, count, synced))
        mine.append(await _measured(ours, count, synced))
    value, base = median(mine), median(baseline)
    return {
        "name": name,
        "value": round(value),
        "unit": "messages/s",
        "floor": round(floor * base),
        "baseline": round(base),
        "below": value < floor * base,
        "of": f"{value / base:.1f} x nats-py's own (floor {floor} x)",
    }


async def _measured(rate: Rate, count: int, synced: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        async with embedded(Path(folder), synced=synced) as address:
            return await rate(address, count)


@asynccontextmanager
async def stock(address: Address) -> AsyncIterator[Client]:
    client = await nats.connect(address.url, user=address.user, password=address.password)
    try:
        yield client
    finally:
        await client.close()


async def published(address: Address, count: int) -> float:
    messages = [Message("event.sis.student.update", BODY, id=f"sis:student:{n}") for n in range(count)]
    async with JetStream.connect(address) as bus:
        await bus.provision()
        began = time.perf_counter()
        await bus.publish("EVENTS", messages)
        return count / (time.perf_counter() - began)


async def published_async(address: Address, count: int) -> float:
    async with JetStream.connect(address) as bus:
        await bus.provision()
    async with stock(address) as client:
        js = client.jetstream(publish_async_max_pending=IN_FLIGHT)
        began = time.perf_counter()
        for n in range(count):
            await js.publish_async(
                "event.sis.student.update", BODY, headers={"Nats-Msg-Id": f"sis:student:{n}"}
            )
        await js.publish_async_completed()
        return count / (time.perf_counter() - began)


async def pulled(address: Address, count: int) -> float:
    await published(address, count)
    async with JetStream.connect(address) as bus:
        consumer = await bus.consume("EVENTS", "intake", batch=FETCH)
        got = 0
        began = time.perf_counter()
        while got < count:
            messages = await consumer.next()
            got += len(messages)
            await consumer.ack(messages[-1])
        return count / (time.perf_counter() - began)


async def fetched(address: Address, count: int) -> float:
    await published(address, count)
    async with stock(address) as client:
        subscription = await client.jetstream().pull_subscribe(
            "",
            "intake",
            "EVENTS",
            config=nats.js.api.ConsumerConfig(
                ack_policy=nats.js.api.AckPolicy.ALL, max_ack_pending=2 * FETCH
            ),
        )
        got = 0
        began = time.perf_counter()
        while got < count:
            messages = await subscription.fetch(FETCH)
            got += len(messages)
            await messages[-1].ack()
        return count / (time.perf_counter() - began)
