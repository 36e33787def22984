"""The pull consumer: in order, nothing lost or given twice, whatever happens on the way."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from real_nats import NatsServer, Wire, clean, eventually

from bus.consume import BUFFER_BYTES_MAX, PullConsumer, parse_ack
from bus.errors import Unavailable
from bus.jetstream import JetStream
from bus.port import Message, Stored
from bus.wire import wire


async def publish(bus: JetStream, count: int, start: int = 0, *, body: bytes = b"") -> None:
    messages = [Message("event.sis.student.update", b"%d" % n + body) for n in range(start, start + count)]
    await bus.publish("EVENTS", messages)


async def take(consumer: PullConsumer, count: int) -> list[Stored]:
    got: list[Stored] = []
    async with asyncio.timeout(15):
        while len(got) < count:
            got += await consumer.next()
    return got


async def acked_up_to(bus: JetStream, seq: int) -> None:
    async with asyncio.timeout(5):
        floor = -1
        while floor != seq:
            info = await bus.connection.api("CONSUMER.INFO.EVENTS.intake")
            floor = info["ack_floor"]["stream_seq"]


def seqs(messages: list[Stored]) -> list[int]:
    return [message.seq for message in messages]


async def test_what_was_not_acknowledged_comes_again_in_order(bus: JetStream) -> None:
    await publish(bus, 100)
    first = await bus.consume("EVENTS", "intake", batch=25)
    got = await take(first, 50)
    await first.ack(got[19])
    await acked_up_to(bus, 20)
    await first.close()

    second = await bus.consume("EVENTS", "intake", batch=25)
    again = await take(second, 80)

    assert seqs(again) == list(range(21, 101))


async def test_the_reader_gets_no_more_than_a_batch_and_all_that_is_there(bus: JetStream) -> None:
    await publish(bus, 60)
    consumer = await bus.consume("EVENTS", "intake", batch=25)
    await eventually(lambda: consumer.waiting == 50)

    lists = [await consumer.next() for _ in range(2)]
    await consumer.ack(lists[-1][-1])
    lists.append(await consumer.next())

    assert [len(some) for some in lists] == [25, 25, 10]


async def test_a_slow_reader_bounds_what_is_held_for_it(bus: JetStream) -> None:
    await publish(bus, 300, body=b"x" * 100_000)
    consumer = await bus.consume("EVENTS", "intake", batch=500)
    before, held = -1, 0
    async with asyncio.timeout(5):
        while held == 0 or before != held:  # until it brings no more
            info = await bus.connection.api("CONSUMER.INFO.EVENTS.intake")
            before, held = held, info["num_ack_pending"]

    got = await take(consumer, 300)

    assert held * 100_000 <= 2 * BUFFER_BYTES_MAX
    assert seqs(got) == list(range(1, 301))


async def test_a_cancelled_next_loses_nothing(bus: JetStream) -> None:
    consumer = await bus.consume("EVENTS", "intake", batch=10)
    got: list[Stored] = []

    async def produce() -> None:
        for n in range(150):
            await publish(bus, 1, n)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(produce())
        while len(got) < 150:
            try:
                async with asyncio.timeout(0.0003):
                    got += await consumer.next()
                await consumer.ack(got[-1])
            except TimeoutError:
                pass

    assert seqs(got) == list(range(1, 151))


async def test_pending_counts_what_is_not_acknowledged(bus: JetStream) -> None:
    await publish(bus, 40)
    consumer = await bus.consume("EVENTS", "intake", batch=10)
    got = await take(consumer, 10)
    await consumer.ack(got[6])
    await acked_up_to(bus, 7)

    assert await consumer.pending() == 33


async def test_filters_and_start_are_kept(bus: JetStream) -> None:
    await bus.publish("CHANGES", [Message("change.student.a", b"")])
    consumer = await bus.consume(
        "CHANGES", "lms", filters=["change.student.*", "change.class.*"], start="new"
    )
    subjects = ["change.course.a", "change.student.b", "change.class.c"]
    await bus.publish("CHANGES", [Message(subject, b"") for subject in subjects])

    got = await take(consumer, 2)
    await consumer.close()
    await bus.consume("CHANGES", "lms", filters=["change.course.*"], start="all")
    info = await bus.connection.api("CONSUMER.INFO.CHANGES.lms")

    assert [m.subject for m in got] == ["change.student.b", "change.class.c"]
    assert info["config"]["filter_subjects"] == ["change.course.*"]
    assert info["config"]["deliver_policy"] == "new"


@pytest.mark.parametrize("what", ["CONSUMER.DELETE.EVENTS.intake", "STREAM.DELETE.EVENTS"])
async def test_the_reader_is_told_when_its_consumer_is_gone(
    bus: JetStream, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.consume.SILENCE_MAX_S", 0.5)  # a pull just under way is not answered
    consumer = await bus.consume("EVENTS", "intake")

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        reading = group.create_task(_error_of(consumer))
        await asyncio.sleep(0)
        await bus.connection.api(what)

    assert "gone" in str(reading.result())


async def _error_of(consumer: PullConsumer) -> Unavailable:
    with pytest.raises(Unavailable) as raised:
        await consumer.next()
    return raised.value


@pytest.fixture
async def wired(bus: JetStream, nats_server: NatsServer) -> AsyncIterator[tuple[JetStream, Wire]]:
    """A second bus, on a wire that can be cut."""
    async with Wire(nats_server.port) as cable, JetStream.connect(cable.address) as far:
        yield far, cable


async def test_after_each_cut_it_goes_on_where_the_reader_is(
    bus: JetStream, wired: tuple[JetStream, Wire]
) -> None:
    far, cable = wired
    await publish(bus, 2000)
    consumer = await far.consume("EVENTS", "intake", batch=100)
    got: list[Stored] = []

    async with asyncio.timeout(15):
        for cuts in range(6):
            got += await take(consumer, 120)
            await consumer.ack(got[-70])  # the last 70 come again, and are not given again
            await eventually(lambda: far.connection.up)
            if cuts % 2:
                got += await consumer.next()
            cable.cut()
        while len(got) < 2000:
            got += await consumer.next()
            await consumer.ack(got[-1])
        await eventually(lambda: far.connection.up)
        await acked_up_to(bus, 2000)

    assert seqs(got) == list(range(1, 2001))


async def test_acknowledgements_of_before_a_cut_count_after_it(
    bus: JetStream, wired: tuple[JetStream, Wire]
) -> None:
    far, cable = wired
    await publish(bus, 100)
    consumer = await far.consume("EVENTS", "intake", batch=100)
    got = await take(consumer, 60)
    await consumer.ack(got[9])
    cable.refusing = True
    cable.cut()
    await eventually(lambda: not far.connection.up)
    await consumer.ack(got[29])  # said when there is nobody to hear it
    cable.refusing = False
    await eventually(lambda: far.connection.up)

    rest = await take(consumer, 100 - len(got))
    await acked_up_to(bus, 30)
    await consumer.ack(got[44])
    await acked_up_to(bus, 45)
    await consumer.ack((got + rest)[-1])
    await acked_up_to(bus, 100)

    assert seqs(got + rest) == list(range(1, 101))


async def test_what_an_abandoned_pull_still_brings_is_not_taken(
    bus: JetStream, wired: tuple[JetStream, Wire]
) -> None:
    far, cable = wired
    consumer = await far.consume("EVENTS", "intake", batch=100)
    await publish(bus, 20)
    await eventually(lambda: consumer.waiting == 20)
    cable.flowing.clear()
    await publish(bus, 60, 20)
    delivered = 0
    while delivered < 80:
        info = await bus.connection.api("CONSUMER.INFO.EVENTS.intake")
        delivered = info["delivered"]["consumer_seq"]
    consumer.restored()  # as after a silence; 21 to 80 are on their way
    await eventually(lambda: consumer.waiting == 0)
    cable.flowing.set()

    got = await take(consumer, 80)

    assert seqs(got) == list(range(1, 81))


async def test_a_reply_of_before_a_reset_does_not_hold_up_later_ones(
    bus: JetStream, wired: tuple[JetStream, Wire]
) -> None:
    far, cable = wired
    await publish(bus, 200)
    consumer = await far.consume("EVENTS", "intake", batch=100)
    got = await take(consumer, 100)
    await consumer.ack(got[89])
    first = consumer._subscription
    cable.cut()
    async with asyncio.timeout(5):
        while consumer._subscription in (first, None):  # noqa: ASYNC110
            await asyncio.sleep(0)
        cable.flowing.clear()
        delivered = 0
        while delivered < 100:
            info = await bus.connection.api("CONSUMER.INFO.EVENTS.intake")
            delivered = info["delivered"]["consumer_seq"]
    await consumer.ack(got[99])
    cable.flowing.set()
    got += await take(consumer, 200 - len(got))
    await consumer.ack(got[119])
    await acked_up_to(bus, 120)

    assert seqs(got) == list(range(1, 201))


async def test_a_server_killed_and_started_again_gives_the_rest_in_order(tmp_path: Path) -> None:
    with NatsServer(tmp_path, sync="always") as server:
        async with JetStream.connect(server.address) as bus:
            await bus.provision()
            await publish(bus, 400)
            consumer = await bus.consume("EVENTS", "intake", batch=100)
            got = await take(consumer, 120)
            await consumer.ack(got[79])
            server.kill()
            server.start()
            got += await take(consumer, 400 - len(got))
            await consumer.ack(got[-1])
            await acked_up_to(bus, 400)

    assert seqs(got) == list(range(1, 401))


async def test_silence_of_the_server_begins_a_new_pull(
    bus: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.consume.SILENCE_MAX_S", 0.2)
    consumer = await bus.consume("EVENTS", "intake")
    await bus.connection.client.flush()
    await bus.connection.api("CONSUMER.RESET.EVENTS.intake")  # ends our pulls without a word
    await publish(bus, 3)

    got = await take(consumer, 3)

    assert seqs(got) == [1, 2, 3]


async def test_both_forms_of_ack_subjects_are_read(tmp_path: Path) -> None:
    with NatsServer(tmp_path, ack_v2=True) as server:
        async with JetStream.connect(server.address) as bus:
            await bus.provision()
            await publish(bus, 30)
            consumer = await bus.consume("EVENTS", "intake", batch=10)
            got = await take(consumer, 10)
            await consumer.ack(got[-1])
            await acked_up_to(bus, 10)
            got += await take(consumer, 20)
            last = await bus.last("EVENTS", "event.>")

    assert last is not None
    assert len(got[0].reply.split(".")) >= 11
    assert seqs(got) == list(range(1, 31))
    assert got[-1].at_ms == last.at_ms


@pytest.mark.parametrize(
    "reply",
    ["$JS.ACK.S.C.1.7.2.1795447904477170470.5", "$JS.ACK._.ACC.S.C.1.7.2.1795447904477170470.5",
     "$JS.ACK.hub.ACC.S.C.1.7.2.1795447904477170470.5.Xy12"],
)  # fmt: skip
def test_sequence_and_time_stand_in_the_ack_subject(reply: str) -> None:
    assert parse_ack(reply) == (7, 1795447904477)


async def test_a_message_nobody_understands_ends_nothing(bus: JetStream) -> None:
    consumer = await bus.consume("EVENTS", "intake")
    inbox = consumer._inbox
    for subject, headers in ((inbox, ""), (inbox, "Nats-Pending-Messages: many\r\n"), (inbox, "NATS: x\r\n")):
        await bus.connection.write(wire(subject, "$JS.ACK.not.ours", headers, b"{"))
    await publish(bus, 2)

    got = await take(consumer, 2)

    assert seqs(got) == [1, 2]
    assert bus.connection.up


async def test_the_durable_is_as_design_says(bus: JetStream) -> None:
    await bus.consume("EVENTS", "intake", batch=500)
    config = (await bus.connection.api("CONSUMER.INFO.EVENTS.intake"))["config"]

    assert (config["ack_policy"], config["max_deliver"], config["max_ack_pending"]) == ("all", -1, 2000)
    assert config["ack_wait"] == 60 * 10**9
    assert json.dumps(config).count("backoff") == 0


async def test_messages_wait_for_a_reader_that_comes_after_a_clean_close(bus: JetStream) -> None:
    consumer = await bus.consume("EVENTS", "intake")
    await consumer.close()
    await consumer.close()
    await publish(bus, 2)
    with pytest.raises(Unavailable, match="closed"):
        await consumer.next()

    again = await bus.consume("EVENTS", "intake")

    assert seqs(await take(again, 2)) == [1, 2]
    await clean(bus)
