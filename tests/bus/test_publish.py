"""The publisher: batches, duplicates, lost answers, refusals; and no future that never resolves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_nats import NatsServer, Wire, clean, eventually

from bus.connection import Address
from bus.errors import BusError, Denied, StreamFull, Unavailable, WrongSequence
from bus.jetstream import JetStream
from bus.port import Message
from bus.publish import BATCH_BYTES_MAX, BATCH_MAX, batches, encode_batch

MANY = 30  # enough for an atomic batch


def events(count: int, start: int = 0, *, body: bytes = b"x") -> list[Message]:
    return [Message("event.sis.student.update", body, id=f"n{n}") for n in range(start, start + count)]


def changes(*tokens: str, expect: int | None = 0) -> list[Message]:
    return [
        Message(f"change.student.{token}", b"x", id=f"{n}.{token}", expect_last=expect)
        for n, token in enumerate(tokens)
    ]


async def stored(bus: JetStream, stream: str) -> list[str]:
    return [message.id async for chunk in bus.read(stream) for message in chunk]


@pytest.mark.parametrize("count", [0, 1, 5, 9, 10, 300, 2500])
async def test_the_sequences_are_those_in_the_stream(bus: JetStream, count: int) -> None:
    await bus.publish("EVENTS", [Message("event.other.x.update", b"")])

    seqs = await bus.publish("EVENTS", events(count))

    there = [(m.seq, m.id) async for chunk in bus.read("EVENTS", subject="event.sis.>") for m in chunk]
    assert there == [(seq, f"n{n}") for n, seq in enumerate(seqs)]
    assert len(there) == count


@pytest.mark.parametrize("known", [[0], [17], [29], list(range(MANY))])
async def test_known_ids_in_a_batch_get_their_first_sequences(bus: JetStream, known: list[int]) -> None:
    messages = events(MANY)
    first = await bus.publish("EVENTS", [messages[n] for n in known])

    seqs = await bus.publish("EVENTS", messages)

    assert [seqs[n] for n in known] == first
    assert len(set(seqs)) == MANY
    assert sorted(await stored(bus, "EVENTS")) == sorted(m.id for m in messages)


async def test_an_id_twice_in_one_batch_is_stored_once(bus: JetStream) -> None:
    seqs = await bus.publish("EVENTS", [*events(MANY), *events(MANY)])

    assert seqs[:MANY] == seqs[MANY:] == list(range(1, MANY + 1))


async def test_callers_at_once_keep_each_its_order(bus: JetStream) -> None:
    async def call(name: str) -> list[int]:
        seqs: list[int] = []
        for size in (3, 40, 1, 30, 12):
            at = len(seqs)
            parts = [Message(f"event.{name}.x.update", b"", id=f"{name}.{at + n}") for n in range(size)]
            seqs += await bus.publish("EVENTS", parts)
        return seqs

    all_seqs = await asyncio.gather(*(call(f"c{n}") for n in range(25)))

    assert all(seqs == sorted(seqs) for seqs in all_seqs)
    assert len({seq for seqs in all_seqs for seq in seqs}) == 25 * 86


@pytest.mark.parametrize("count", [1, 3, MANY])
async def test_another_writer_is_told_and_nothing_is_stored(bus: JetStream, count: int) -> None:
    tokens = [f"r{n}" for n in range(count)]
    await bus.publish("CHANGES", [Message("change.student.r0", b"other", id="other")])

    with pytest.raises(WrongSequence):
        await bus.publish("CHANGES", changes(*tokens))

    assert await stored(bus, "CHANGES") == ["other"]


@pytest.mark.parametrize("count", [3, MANY])
async def test_only_the_first_of_a_subject_is_compared(bus: JetStream, count: int) -> None:
    seqs = await bus.publish("CHANGES", changes(*["same"] * count))

    assert seqs == list(range(1, count + 1))


@pytest.mark.parametrize("tokens", [("a",), ("a", "b", "a"), tuple("abcdefghijkl" * 3)])
async def test_changes_published_again_have_their_first_sequences(
    bus: JetStream, tokens: tuple[str, ...]
) -> None:
    first = await bus.publish("CHANGES", changes(*tokens))

    again = await bus.publish("CHANGES", changes(*tokens))

    assert again == first
    assert len(await stored(bus, "CHANGES")) == len(tokens)


async def test_behind_a_refused_batch_nothing_is_stored(bus: JetStream) -> None:
    tokens = [f"r{n}" for n in range(BATCH_MAX + 50)]
    await bus.publish("CHANGES", [Message("change.student.r3", b"other", id="other")])

    with pytest.raises(WrongSequence):
        await bus.publish("CHANGES", changes(*tokens))

    assert await stored(bus, "CHANGES") == ["other"]


@pytest.mark.parametrize("count", [1, MANY])
async def test_a_full_stream_says_so_and_drops_nothing(bus: JetStream, count: int) -> None:
    config = (await bus.connection.api("STREAM.INFO.EVENTS"))["config"]
    await bus.connection.api("STREAM.UPDATE.EVENTS", {**config, "max_bytes": 20_000})
    await bus.publish("EVENTS", events(1, body=b"x" * 15_000))

    with pytest.raises(StreamFull, match="EVENTS"):
        await bus.publish("EVENTS", events(count, 1, body=b"x" * 10_000))

    assert await stored(bus, "EVENTS") == ["n0"]


@pytest.mark.parametrize("count", [1, MANY])
async def test_without_its_stream_it_is_unavailable_at_once(bus: JetStream, count: int) -> None:
    await bus.connection.api("STREAM.DELETE.EVENTS")

    async with asyncio.timeout(2):
        with pytest.raises(Unavailable, match="no stream"):
            await bus.publish("EVENTS", events(count))


async def test_what_the_protocol_cannot_carry_is_refused_and_the_connection_lives(bus: JetStream) -> None:
    with pytest.raises(BusError, match="line break"):
        await bus.publish("EVENTS", [Message("event.a.b.c", b"", id="a\r\nNats-Rollup: all")])
    with pytest.raises(ValueError, match="subject"):
        await bus.publish("EVENTS", [Message("event.a.b c", b"")])
    with pytest.raises(BusError, match="max_payload"):
        await bus.publish("EVENTS", events(1, body=b"x" * 1_048_577))

    assert await bus.publish("EVENTS", [Message("event.ä.b.c", b"", id="Zoë\t1")]) == [1]
    assert await stored(bus, "EVENTS") == ["Zoë\t1"]


PERMISSIONS = """
authorization { users: [
  {user: all, password: x},
  {user: few, password: x, permissions: {publish: ["event.sis.>", "$JS.API.INFO"], subscribe: "_INBOX.>"}}
]}
"""


@pytest.mark.parametrize("count", [1, MANY])
async def test_without_the_right_it_is_denied_at_once(tmp_path: Path, count: int) -> None:
    with NatsServer(tmp_path, extra=PERMISSIONS) as server:
        url = server.address.url
        async with JetStream.connect(Address(url=url, user="all", password="x")) as bus:
            await bus.provision()
        async with JetStream.connect(Address(url=url, user="few", password="x")) as bus, asyncio.timeout(2):
            allowed = await bus.publish("EVENTS", events(count))

            with pytest.raises(Denied, match=r"event\.Other\.x\.update"):
                await bus.publish("EVENTS", [*events(count, 100), Message("event.Other.x.update", b"")])

    assert len(allowed) == count


@pytest.fixture
async def wired(bus: JetStream, nats_server: NatsServer) -> AsyncIterator[tuple[JetStream, Wire]]:
    """A second bus, on a wire that can be cut."""
    async with Wire(nats_server.port) as cable, JetStream.connect(cable.address) as far:
        yield far, cable


@pytest.mark.parametrize("count", [1, 5, MANY, 2500])
async def test_after_a_lost_answer_the_same_again_doubles_nothing(
    bus: JetStream, wired: tuple[JetStream, Wire], count: int
) -> None:
    far, cable = wired
    cable.deaf = True

    async def lose() -> None:
        with pytest.raises(Unavailable):
            await far.publish("EVENTS", events(count))

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(lose())
        written = 0
        while written < min(count, BATCH_MAX):
            written = (await bus.info("EVENTS")).last_seq
        cable.cut()
        cable.deaf = False
    await eventually(lambda: far.connection.up)

    seqs = await far.publish("EVENTS", events(count))

    assert seqs == list(range(1, count + 1))
    assert (await bus.info("EVENTS")).messages == count


async def test_no_caller_waits_for_ever_when_the_server_dies(tmp_path: Path) -> None:
    with NatsServer(tmp_path, sync="always") as server:
        async with JetStream.connect(server.address) as bus:
            await bus.provision()
            acked: set[str] = set()

            async def call(name: str, size: int) -> None:
                for at in range(0, 10**6, size):
                    messages = [
                        Message("event.a.b.c", b"x" * 300, id=f"{name}.{at + n}") for n in range(size)
                    ]
                    try:
                        await bus.publish("EVENTS", messages)
                    except Unavailable:
                        return
                    acked.update(m.id for m in messages)

            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                for n, size in enumerate((1, 1, 3, 9, 10, 200, 2000)):
                    group.create_task(call(f"c{n}", size))
                await eventually(lambda: len(acked) > 2000)
                server.kill()
            with pytest.raises(Unavailable, match="127"):
                await bus.publish("EVENTS", events(1))

            server.start()
            await eventually(lambda: bus.connection.up)

            assert acked <= set(await stored(bus, "EVENTS"))
            assert await bus.publish("EVENTS", events(1))


async def test_a_paused_server_is_unavailable_within_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.publish.ANSWER_MAX_S", 0.3)
    with NatsServer(tmp_path) as server:
        async with JetStream.connect(server.address) as bus:
            await clean(bus)
            server.pause()
            try:
                async with asyncio.timeout(3):
                    with pytest.raises(Unavailable, match="in time"):
                        await bus.publish("EVENTS", events(1))
                    with pytest.raises(Unavailable, match="in time"):
                        await bus.publish("EVENTS", events(MANY))
            finally:
                server.resume()


@given(st.lists(st.integers(0, BATCH_BYTES_MAX // 3), max_size=30), st.integers(1, 8))
def test_batches_keep_the_order_and_the_limits(sizes: list[int], most: int) -> None:
    messages = [Message("s", b"x" * size, id=str(n)) for n, size in enumerate(sizes)]

    cut = list(batches(messages, count_max=most))

    assert [m for batch in cut for m in batch] == messages
    assert all(0 < len(batch) <= most for batch in cut)
    assert all(sum(len(m.body) for m in batch) <= BATCH_BYTES_MAX for batch in cut if len(batch) > 1)


def test_a_batch_asks_at_its_ends_and_compares_each_subject_once() -> None:
    commands = encode_batch(changes("a", "b", "a", expect=7), "B", "reply", 1000_000)

    assert [b" reply " in c for c in commands] == [True, False, True]
    assert [b"Expected-Last-Subject-Sequence: 7\r\n" in c for c in commands] == [True, True, False]
    assert [b"Nats-Batch-Commit: 1\r\n" in c for c in commands] == [False, False, True]
