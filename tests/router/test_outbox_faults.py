"""A bus that says no and a disk that is full: what was committed is told, and nothing holds up the rest."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from simulation.by_hand import empty_town
from simulation.life import Life
from simulation.streams import Wire
from simulation.world import STATE, Town

from bus.errors import BusError, Denied, StreamFull, Unavailable
from bus.port import Message
from router.database import Sqlite
from router.outbox import Outbox
from router.store import QUERIES, Store

TOO_LARGE = "dead.lms.student"


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


class Picky(Wire):
    """A bus that says no to one subject, as often as it is told to."""

    def __init__(self, town: Town, life: Life, error: BusError | None, times: int) -> None:
        super().__init__(town.server, life, town.weather, down=town.outage)
        self.error = error
        self.left = times
        self.calls = 0

    async def publish(self, stream: str, messages: Sequence[Message]) -> list[int]:
        self.calls += 1
        if self.error and self.left and any(message.subject == TOO_LARGE for message in messages):
            self.left -= 1
            raise self.error
        return await super().publish(stream, messages)


Work = Callable[[Store, Outbox], Coroutine[Any, Any, None]]


def process(town: Town, work: Work, *, error: BusError | None = None, times: int = -1) -> list[str]:
    """One life with nothing in it but an outbox. What it had to say of trouble."""
    life = Life(1, town.loop, town.trace, lambda name: False)
    troubles: list[str] = []

    async def live() -> None:
        async with town.disk.open(life, STATE / "index.sqlite", QUERIES["schema"]) as database:
            store = Store(database)
            outbox = Outbox(store, Picky(town, life, error, times), asyncio.sleep, troubles.append)
            await outbox.recover()
            running = asyncio.ensure_future(outbox.run())
            try:
                async with asyncio.timeout(60):
                    await work(store, outbox)
            finally:
                running.cancel()
                await asyncio.wait([running])

    town.loop.run(live())
    return troubles


def message(id_: str, subject: str = "audit.event.accepted.sis.student") -> Message:
    return Message(subject, b"x", id_)


def ids(town: Town, stream: str) -> list[str]:
    return [stored.id for stored in town.server.streams[stream].history]


def left(town: Town) -> int:
    [(count,)] = town.disk.rows("index.sqlite", "SELECT count(*) FROM outbox")
    return int(count)


def test_a_message_that_can_never_be_published_holds_up_no_other_and_is_reported(town: Town) -> None:
    async def work(store: Store, outbox: Outbox) -> None:
        await outbox.tell([message("a"), message("b", TOO_LARGE), message("c", "dead.idp.student")])
        await outbox.tell([message("d")])
        await outbox.settle()

    troubles = process(town, work, error=BusError("DEAD: message size exceeds maximum"))

    assert ids(town, "AUDIT") == ["a", "d"]
    assert ids(town, "DEAD") == ["c"]
    assert left(town) == 0
    [trouble] = troubles
    assert TOO_LARGE in trouble
    assert "message size exceeds maximum" in trouble


@pytest.mark.parametrize("error", [Denied("DEAD: no right"), StreamFull("DEAD: no room")], ids=["no", "full"])
def test_what_a_person_can_mend_is_tried_until_it_is_taken(town: Town, error: BusError) -> None:
    async def work(store: Store, outbox: Outbox) -> None:
        await outbox.tell([message("a"), message("b", TOO_LARGE), message("c")])
        await outbox.settle()

    troubles = process(town, work, error=error, times=5)

    assert ids(town, "DEAD") == ["b"]
    assert ids(town, "AUDIT") == ["a", "c"]
    assert troubles == [str(error)] * 5
    assert left(town) == 0


def test_a_denial_of_one_among_many_is_not_taken_for_a_message_that_can_never_go(town: Town) -> None:
    errors = iter([BusError("DEAD: no"), Denied("DEAD: no right"), Denied("DEAD: no right")])

    async def work(store: Store, outbox: Outbox) -> None:
        bus = outbox._bus
        assert isinstance(bus, Picky)
        publish = Wire.publish

        async def changing(stream: str, messages: Sequence[Message]) -> list[int]:
            if stream == "DEAD" and (error := next(errors, None)):
                raise error
            return await publish(bus, stream, messages)

        bus.publish = changing  # type: ignore[method-assign]
        await outbox.tell([message("b", TOO_LARGE), message("c", TOO_LARGE)])
        await outbox.settle()

    process(town, work)

    assert ids(town, "DEAD") == ["b", "c"]


def test_a_commit_that_fails_does_not_forget_what_was_published(town: Town) -> None:
    async def work(store: Store, outbox: Outbox) -> None:
        await outbox.tell([message("a"), message("b")])
        town.weather.rates["disk.full"] = 1.0
        with pytest.raises(Unavailable):
            await outbox.tell([message("c")])
        town.weather.rates["disk.full"] = 0.0
        await outbox.tell([message("d")])
        assert left(town) == 1
        await outbox.settle()

    process(town, work)

    assert left(town) == 0
    assert ids(town, "AUDIT") == ["a", "b", "d"]


def test_a_last_commit_that_fails_can_be_made_again(town: Town) -> None:
    async def work(store: Store, outbox: Outbox) -> None:
        await outbox.tell([message("a")])
        town.weather.rates["disk.full"] = 1.0
        with pytest.raises(Unavailable):
            await outbox.settle()
        town.weather.rates["disk.full"] = 0.0
        await outbox.settle()

    process(town, work)

    assert left(town) == 0


# -- the file itself


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Sqlite]:
    async with Sqlite.open(tmp_path / "index.sqlite", QUERIES["schema"]) as database:
        yield database


def letters(store: Store, first: int, count: int) -> list[Any]:
    rows = [(id_, "audit.x", "", b"x" * 1000, "") for id_ in range(first, first + count)]
    return [store.write("save_outbox", rows)]


async def test_after_a_full_disk_has_room_again_the_next_write_works(database: Sqlite) -> None:
    store = Store(database)
    await store.commit(letters(store, 1, 3))
    [[pages]] = database._writer.execute("PRAGMA page_count").fetchall()
    database._writer.execute(f"PRAGMA max_page_count={pages + 2}")

    with pytest.raises(Unavailable) as full:
        await store.commit(letters(store, 100, 200))
    assert full.value.runbook == "disk-full"
    database._writer.execute("PRAGMA max_page_count=100000")
    await store.commit(letters(store, 4, 200))
    assert [id_ for id_, _ in store.outbox()] == list(range(1, 204))


async def test_a_missing_table_is_not_taken_for_a_full_disk(database: Sqlite) -> None:
    store = Store(database)
    database._writer.execute("DROP TABLE outbox")

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await store.commit(letters(store, 1, 1))
