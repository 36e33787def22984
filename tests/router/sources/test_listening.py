"""What a source says of its own accord is on EVENTS once, in order, whatever comes between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC
from pathlib import Path

import pytest
from real_nats import NatsServer, Wire, eventually

from bus.adapter import Said, Take, Unsound
from bus.codec import decode_audit, decode_event
from bus.connection import Address
from bus.errors import Unavailable
from bus.jetstream import JetStream
from bus.messages import AuditRecord, Event, Op, Outcome, Step
from bus.port import Message
from router.core.rules import EntityRule, FieldRule, SourceEntity, Term, Type
from router.database import Sqlite
from router.outbox import Outbox
from router.sources.heard import QUERIES as HEARD_QUERIES
from router.sources.heard import Heard
from router.sources.listening import ListenerRunner
from router.sources.said import Reader, Told
from router.store import QUERIES, Store

NOW_MS = 1_795_532_645_000
ENROLLMENT = EntityRule(
    name="enrollment",
    owner="lms",
    fields={"state": FieldRule(name="state", type=Type.TEXT, owner="lms")},
)
RULE = SourceEntity(
    entity="enrollment",
    table="enrollments",
    id_field="id",
    terms=(Term(field="state", text="workflow_state", column="workflow_state"),),
    hub_id_field="sis_id",
)


def said(id_: str = "", state: str = "active", *, local_id: str = "7", **also: bool) -> Said:
    return Said(id_, "enrollments", {"id": local_id, "workflow_state": state}, occurred_at_ms=5, **also)


class Speaker:
    """A listener that a test speaks through. `away`: what keeps it from listening."""

    def __init__(self) -> None:
        self.away: list[Unavailable] = []
        self.take: Take | None = None

    async def check(self) -> None:
        if self.away:
            raise self.away.pop(0)

    async def listen(self, take: Take) -> None:
        self.take = take
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


class Place:
    """One source's file, and the lives of its runner."""

    def __init__(self, bus: JetStream, folder: Path, files: AsyncExitStack) -> None:
        self.bus = bus
        self.folder = folder
        self.files = files
        self.speaker = Speaker()
        self.pauses: list[float] = []
        self.troubles: list[str] = []

    async def live(self, bus: JetStream | None = None) -> ListenerRunner:
        bus = bus or self.bus
        enter = self.files.enter_async_context
        heard = Heard(await enter(Sqlite.open(self.folder / "lms.sqlite", HEARD_QUERIES["schema"])))
        index = Store(await enter(Sqlite.open(self.folder / "index.sqlite", QUERIES["schema"])))
        outbox = Outbox(index, bus, self._sleep, self.troubles.append)
        telling = asyncio.ensure_future(outbox.run())
        self.files.callback(telling.cancel)
        return ListenerRunner(
            system="lms",
            listener=self.speaker,
            reader=Reader("lms", [Told.of(RULE, ENROLLMENT, UTC)], b"key"),
            heard=heard,
            bus=bus,
            outbox=outbox,
            now_ms=lambda: NOW_MS,
            sleep=self._sleep,
            trouble=self.troubles.append,
        )

    async def _sleep(self, delay_s: float) -> None:
        self.pauses.append(delay_s)
        await asyncio.sleep(0)

    async def events(self) -> list[Event]:
        pages = self.bus.read("EVENTS", subject="event.lms.>")
        return [decode_event(stored.body) async for page in pages for stored in page]

    async def said_again(self, count: int) -> list[AuditRecord]:
        """The audit records, once there are as many."""
        async with asyncio.timeout(10):
            while True:
                found: list[AuditRecord] = []
                async for page in self.bus.read("AUDIT"):
                    found += [record for stored in page for record in decode_audit(stored.body)]
                if len(found) >= count:
                    return found

    async def forget_ids(self) -> None:
        """What half an hour does: the server knows no id any more. Its window is as short as it can be."""
        config = (await self.bus.connection.api("STREAM.INFO.EVENTS"))["config"]
        await self.bus.connection.api("STREAM.UPDATE.EVENTS", {**config, "duplicate_window": 100_000_000})
        probe = [Message("event.probe.x.update", b"", "probe")]
        [first] = await self.bus.publish("EVENTS", probe)
        async with asyncio.timeout(60):
            while await self.bus.publish("EVENTS", probe) == [first]:
                pass


@pytest.fixture
async def place(bus: JetStream, tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as files:
        yield Place(bus, tmp_path, files)


async def test_what_is_said_is_an_event_when_take_returns(place: Place) -> None:
    runner = await place.live()

    await runner.take([said("a1")])

    [event] = await place.events()
    assert (event.system, event.entity, event.op, event.local_id) == ("lms", "enrollment", Op.UPDATE, "7")
    assert (event.fields, event.full) == ({"state": "active"}, False)
    assert (event.observed_at_ms, event.occurred_at_ms) == (NOW_MS, 5)
    newest = await place.bus.last("EVENTS", "event.lms.enrollment.update")
    assert newest is not None and newest.id == event.id and newest.traceparent


async def test_what_was_long_under_way_is_as_old_as_its_sender_says(place: Place) -> None:
    runner = await place.live()

    await runner.take([said("a1")._replace(age_ms=90_000)])

    [event] = await place.events()
    assert event.observed_at_ms == NOW_MS - 90_000


async def test_our_own_id_goes_with_what_is_said_of_a_record_that_we_made(place: Place) -> None:
    runner = await place.live()
    ours = Said("a1", "enrollments", {"id": "7", "workflow_state": "active", "sis_id": "e-1"})

    await runner.take([ours, said("a2", local_id="8")])

    assert [(event.local_id, event.hub_id) for event in await place.events()] == [("7", "e-1"), ("8", "")]


async def test_a_batch_keeps_its_order(place: Place) -> None:
    runner = await place.live()
    states = [f"state {n}" for n in range(300)]

    await runner.take([said(f"a{n}", state) for n, state in enumerate(states)])

    assert [event.fields["state"] for event in await place.events()] == states


async def test_the_same_news_again_is_no_event_and_is_told(place: Place) -> None:
    runner = await place.live()
    await runner.take([said("a1")])

    await runner.take([said("a1"), said("a2"), said("a2")])

    assert len(await place.events()) == 2
    told = await place.said_again(2)
    assert {(record.step, record.outcome, record.system) for record in told} == {
        (Step.EVENT, Outcome.DUPLICATE, "lms")
    }
    assert (runner.published, runner.duplicates) == (2, 2)


async def test_the_same_news_again_is_known_after_a_restart_when_the_server_has_forgotten(
    place: Place,
) -> None:
    await (await place.live()).take([said("a1")])
    await place.forget_ids()

    await (await place.live()).take([said("a1")])

    assert len(await place.events()) == 1


async def test_news_that_a_crash_has_kept_out_of_the_file_is_known_all_the_same(place: Place) -> None:
    await (await place.live()).take([said("a1"), said(state="without an id")])
    for path in place.folder.glob("lms.sqlite*"):
        path.unlink()
    await place.forget_ids()

    runner = await place.live()
    await runner.take([said("a1"), said(state="without an id")])

    events = await place.events()
    assert len(events) == 3  # who gives no id may say the same twice
    assert len({event.id for event in events}) == 3


async def test_without_ids_the_same_content_is_news_each_time(place: Place) -> None:
    for state in ("active", "inactive", "active"):
        await (await place.live()).take([said(state=state)])

    assert [event.fields["state"] for event in await place.events()] == ["active", "inactive", "active"]


async def test_one_unsound_thing_and_nothing_is_taken(place: Place) -> None:
    runner = await place.live()
    with pytest.raises(Unsound) as raised:
        await runner.take([said("a1"), Said("a2", "enrollments", {"id": ""})])

    assert (raised.value.index, raised.value.field) == (1, "data.id")
    assert await place.events() == []


async def test_news_that_is_too_large_for_the_bus_is_unsound(place: Place) -> None:
    runner = await place.live()

    with pytest.raises(Unsound, match="at most 900000"):
        await runner.take([said("a1", "x" * 900_001)])


async def test_a_deletion_is_an_event_without_fields(place: Place) -> None:
    await (await place.live()).take([said("a1", deleted=True)])

    [event] = await place.events()
    assert (event.op, event.fields) == (Op.DELETE, {})


async def test_what_nobody_wants_is_counted(place: Place) -> None:
    runner = await place.live()

    await runner.take([Said("a1", "enrollments", {"id": "7", "seat": "12"})])

    assert (runner.unwanted, await place.events()) == (1, [])


async def test_requests_at_once_are_one_event_for_one_id(place: Place) -> None:
    runner = await place.live()

    await asyncio.gather(*(runner.take([said("a1")]) for _ in range(5)))

    assert len(await place.events()) == 1


async def test_requests_at_once_without_ids_are_each_an_event(place: Place) -> None:
    runner = await place.live()

    await asyncio.gather(*(runner.take([said()]) for _ in range(5)))

    assert len(await place.events()) == 5


async def test_what_a_lost_answer_left_in_doubt_is_one_event(
    place: Place, nats_server: NatsServer, nats_address: Address
) -> None:
    async with Wire(nats_server.port) as wire, JetStream.connect(wire.address) as bus:
        runner = await place.live(bus)
        await runner.take([said("a0")])
        wire.deaf = True
        taking = asyncio.ensure_future(runner.take([said("a1"), said(state="without an id")]))
        while (await place.bus.info("EVENTS")).messages < 3:
            assert not taking.done()
        wire.cut()
        with pytest.raises(Unavailable):
            await taking
        hindered = runner.unreachable
        wire.deaf = False
        await place.forget_ids()
        async with asyncio.timeout(20):
            while True:
                try:
                    await runner.take([said("a1"), said(state="without an id")])
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)

    assert hindered and not runner.unreachable
    assert len(await place.events()) == 3


async def test_where_it_cannot_listen_it_tries_again_and_says_so(place: Place) -> None:
    place.speaker.away = [Unavailable("lms: taken", runbook="webhook-address") for _ in range(2)]
    runner = await place.live()

    running = asyncio.ensure_future(runner.run())
    await eventually(lambda: place.speaker.take)
    assert place.speaker.take is not None
    await place.speaker.take([said("a1")])
    running.cancel()
    await asyncio.wait([running])

    assert len(place.troubles) == 2
    assert runner.unreachable == ""
    assert place.pauses.count(5.0) == 2
    assert len(await place.events()) == 1
