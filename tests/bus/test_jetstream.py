"""The port on a real server: what the router counts on."""

import asyncio
import random
import time

import pytest
from real_nats import NatsServer

from bus.errors import Unavailable
from bus.jetstream import JetStream
from bus.port import Message, Stored

FAR_MS = 4_102_444_800_000


def numbered(count: int, start: int = 0, prefix: str = "event.sis.student") -> list[Message]:
    return [
        Message(f"{prefix}.update", b"%d" % n, id=f"n{n}", traceparent=f"tp{n}")
        for n in range(start, start + count)
    ]


async def test_five_thousand_messages_in_random_batches_arrive_once_and_in_order(bus: JetStream) -> None:
    seed = random.Random(20261123)
    messages = numbered(5000)
    consumer = await bus.consume("EVENTS", "intake", batch=200)
    got: list[Stored] = []

    async def produce() -> None:
        at = 0
        while at < len(messages):
            size = seed.choice((1, 2, 9, 10, 77, 500, 1200))
            await bus.publish("EVENTS", messages[at : at + size])
            at += size

    async def take() -> None:
        while len(got) < len(messages):
            some = await consumer.next()
            got.extend(some)
            await consumer.ack(some[-1])

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(produce())
        group.create_task(take())

    assert [int(m.body) for m in got] == list(range(5000))
    assert [m.seq for m in got] == list(range(1, 5001))
    assert (got[7].id, got[7].traceparent, got[7].subject) == ("n7", "tp7", "event.sis.student.update")


async def test_what_was_stored_can_be_looked_at(bus: JetStream) -> None:
    seqs = await bus.publish("EVENTS", numbered(1100))

    chunks = [chunk async for chunk in bus.read("EVENTS", first_seq=5, last_seq=1050)]
    later = await bus.publish("EVENTS", [Message("event.sis.student.delete", b"later")])
    since_ms = chunks[-1][-1].at_ms
    timed = [
        m async for chunk in bus.read("EVENTS", since_ms=since_ms, subject="event.*.*.update") for m in chunk
    ]
    none = [m async for chunk in bus.read("EVENTS", since_ms=since_ms + 3_600_000) for m in chunk]
    last = await bus.last("EVENTS", "event.*.student.update")
    info = await bus.info("EVENTS")

    assert seqs == list(range(1, 1101))
    assert [m.seq for c in chunks for m in c] == list(range(5, 1051))
    assert timed[-1].seq == 1100 and timed[0].at_ms >= since_ms
    assert (later, none) == ([1101], [])
    assert last is not None and last.body == b"1099" and last.id == "n1099"
    assert await bus.last("EVENTS", "event.nobody.>") is None
    assert (info.messages, info.first_seq, info.last_seq) == (1101, 1, 1101)
    assert info.metadata["yellowbus.epoch"] == "1"
    assert abs(chunks[0][0].at_ms - last.at_ms) < 60_000


async def paused(bus: JetStream) -> bool:
    """What `nats consumer info CHANGES lms` says."""
    return bool((await bus.connection.api("CONSUMER.INFO.CHANGES.lms")).get("paused"))


async def test_a_paused_durable_shows_it_moves_all_the_same_and_stays_so_through_updates_and_restarts(
    nats_server: NatsServer,
) -> None:
    async with JetStream.connect(nats_server.address) as bus:
        await bus.provision()
        await bus.place("CHANGES", "lms", filters=["change.student.*"])
        await bus.pause("CHANGES", "lms", FAR_MS)
        await bus.publish("CHANGES", [Message("change.student.a", b""), Message("change.student.b", b"")])
        await bus.move("CHANGES", "lms", 2)
        moved = await paused(bus)
        await bus.place("CHANGES", "lms", filters=["change.student.*", "change.class.*"])
        updated = await paused(bus)
    nats_server.kill()
    nats_server.start()

    async with JetStream.connect(nats_server.address) as bus:
        await bus.provision()
        placed = await bus.place("CHANGES", "lms", filters=["change.student.*", "change.class.*"])
        assert (placed, moved, updated, await paused(bus)) == (2, True, True, True)
        await bus.pause("CHANGES", "lms", 0)
        assert not await paused(bus)


async def test_the_server_ends_a_pause_at_its_time(bus: JetStream) -> None:
    await bus.place("CHANGES", "lms")
    await bus.pause("CHANGES", "lms", time.time_ns() // 1_000_000 + 300)

    async with asyncio.timeout(10):
        while True:
            if not await paused(bus):
                return
            await asyncio.sleep(0.02)


async def test_a_durable_that_is_gone_is_not_paused(bus: JetStream) -> None:
    with pytest.raises(Unavailable, match="lms"):
        await bus.pause("CHANGES", "lms", FAR_MS)
