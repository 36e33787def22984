"""A bus in memory with nats-server's semantics, and with its ways to fail.

Server: what outlives the router. Wire: `bus.port.Bus` as one life of the router's process has it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from simulation.clock import VirtualLoop
from simulation.life import Life
from simulation.matching import matches
from simulation.weather import Outage, Weather

from bus.errors import StreamFull, Unavailable, WrongSequence
from bus.port import Consumer, Message, Stored, StreamInfo
from bus.topology import STREAMS

BATCH_MIN: Final = 10
"""From so many messages on, bus.publish makes atomic batches."""
CHUNK_MAX: Final = 40
LATE_S: Final = 3.0


class Duplicate(Exception):
    """The batch holds an id that the stream knows: none of it is stored (10201)."""


@dataclass
class Stream:
    """One stream as the server has it."""

    name: str
    window_ms: int
    per_subject_max: int
    messages: dict[int, Stored] = field(default_factory=dict)
    last_seq: int = 0
    by_subject: dict[str, list[int]] = field(default_factory=dict)
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    history: list[Stored] = field(default_factory=list)
    """Every message that ever stood here, also those that a limit has let go."""

    def known(self, id_: str, now_ms: int) -> int | None:
        """The sequence of the message with this id, while the window is open."""
        seq, at_ms = self.ids.get(id_, (0, 0))
        return seq if id_ and seq and at_ms + self.window_ms > now_ms else None

    def newest(self, subject: str) -> int:
        seqs = self.by_subject.get(subject)
        return seqs[-1] if seqs else 0

    def single(self, message: Message, now_ms: int) -> int:
        """Store one message, or find it by its id. Raises WrongSequence.

        The server compares first and looks for the id after; bus.publish sees to it that a duplicate is
        told from another writer all the same, and so does this.
        """
        known = self.known(message.id, now_ms)
        if known is not None:
            return known
        self._compare(message)
        return self._store(message, now_ms)

    def batch(self, messages: Sequence[Message], now_ms: int) -> list[int]:
        """Store all or nothing. Raises Duplicate, WrongSequence."""
        ids: set[str] = set()
        for message in messages:
            if message.id in ids or self.known(message.id, now_ms) is not None:
                raise Duplicate
            ids.update([message.id] if message.id else [])
        subjects: set[str] = set()
        for message in messages:
            if message.subject not in subjects:
                self._compare(message)
            subjects.add(message.subject)
        return [self._store(message, now_ms) for message in messages]

    def _compare(self, message: Message) -> None:
        newest = self.newest(message.subject)
        if message.expect_last is not None and message.expect_last != newest:
            self.violations.append(f"{message.id}: {message.expect_last} expected, {newest} found")
            raise WrongSequence(f"{self.name}: wrong last sequence: {newest}")

    def _store(self, message: Message, now_ms: int) -> int:
        self.last_seq += 1
        seq = self.last_seq
        stored = Stored(message.subject, seq, now_ms, message.body, message.id, message.traceparent)
        self.messages[seq] = stored
        self.history.append(stored)
        seqs = self.by_subject.setdefault(message.subject, [])
        seqs.append(seq)
        if 0 < self.per_subject_max < len(seqs):
            del self.messages[seqs.pop(0)]
        if message.id:
            self.ids[message.id] = (seq, now_ms)
        return seq


class Durable:
    """A consumer on the server: up to where its reader has acknowledged."""

    def __init__(self, filters: tuple[str, ...], floor: int) -> None:
        self.filters = filters
        self.floor = floor
        self.paused_until_ms = 0


class Server:
    """nats-server: streams, consumers, and who waits for news."""

    def __init__(self, loop: VirtualLoop, *, changes_per_record_max: int = 64) -> None:
        self.loop = loop
        self.streams = {
            each.name: Stream(
                each.name,
                each.duplicate_window_s * 1000,
                changes_per_record_max if each.name == "CHANGES" else each.per_subject_max,
            )
            for each in STREAMS
        }
        self.durables: dict[tuple[str, str], Durable] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def store(self, stream: str, messages: Sequence[Message], *, atomic: bool) -> list[int]:
        """Store as one atomic batch, or one by one."""
        found, before = self.streams[stream], self.streams[stream].last_seq
        now_ms = self.loop.now_ms()
        try:
            if atomic:
                try:
                    return found.batch(messages, now_ms)
                except Duplicate:
                    pass
            return self._in_turn(found, messages, now_ms)
        finally:
            if found.last_seq > before:
                self._wake()

    def _in_turn(self, stream: Stream, messages: Sequence[Message], now_ms: int) -> list[int]:
        seqs: list[int] = []
        newest: dict[str, int] = {}
        for message in messages:
            if message.expect_last is not None and message.subject in newest:
                message = message._replace(expect_last=newest[message.subject])
            newest[message.subject] = stream.single(message, now_ms)
            seqs.append(newest[message.subject])
        return seqs

    async def news(self) -> None:
        """Wait until something is stored."""
        waiting: asyncio.Future[None] = self.loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)


class Wire:
    """`bus.port.Bus` over a wire that loses, delays and cuts."""

    def __init__(
        self, server: Server, life: Life, weather: Weather, *, batch_max: int = 1000, down: Outage
    ) -> None:
        self._server = server
        self._life = life
        self._weather = weather
        self._batch_max = batch_max
        self._down = down

    async def publish(self, stream: str, messages: Sequence[Message]) -> list[int]:
        self._life.step(f"publish {stream}", f"{len(messages)}: {_listed([m.id for m in messages])}")
        atomic = len(messages) >= BATCH_MIN
        parts = _cut(messages, self._batch_max) if atomic else [messages]
        seqs: list[int] = []
        for part in parts:
            await self._travel(stream, part, atomic)
            seqs += self._part(stream, part, atomic)
        self._life.step(f"published {stream}", _listed(seqs))
        await asyncio.sleep(self._weather.delay_s(f"answer {stream}"))
        return seqs

    async def _travel(self, stream: str, part: Sequence[Message], atomic: bool) -> None:
        try:
            await asyncio.sleep(self._weather.delay_s(f"publish {stream}"))
        except asyncio.CancelledError:
            if self._weather.happens("bus.stray", stream):
                self._later(stream, part, atomic)
            raise
        self._down.check(stream)

    def _part(self, stream: str, part: Sequence[Message], atomic: bool) -> list[int]:
        if not self._life.alive:
            return []
        weather, trace = self._weather, self._life.trace
        if weather.happens("bus.refused", stream):
            trace("  not sent")
            raise Unavailable(f"{stream}: cut before it was sent")
        if weather.happens("bus.full", stream):
            trace("  full")
            raise StreamFull(f"{stream}: no room")
        if weather.happens("bus.late", stream):
            trace("  no answer, it arrives late")
            self._later(stream, part, atomic)
            raise Unavailable(f"{stream}: no answer")
        if not atomic and len(part) > 1 and weather.happens("bus.torn", stream):
            kept = weather.choices.of(f"torn {stream}", 0, lambda chance: chance.randrange(len(part)))
            trace(f"  cut after {kept}")
            self._server.store(stream, part[:kept], atomic=False)
            raise Unavailable(f"{stream}: cut in the middle")
        seqs = self._server.store(stream, part, atomic=atomic)
        if weather.happens("bus.lost", stream):
            trace(f"  stored as {_listed(seqs)}, the answer is lost")
            raise Unavailable(f"{stream}: the answer was lost")
        return seqs

    def _later(self, stream: str, part: Sequence[Message], atomic: bool) -> None:
        def arrive() -> None:
            try:
                seqs = self._server.store(stream, part, atomic=atomic)
                self._life.trace(f"  (late, of #{self._life.number}) {stream} {_listed(seqs)}")
            except WrongSequence:
                pass

        delay_s = self._weather.choices.of(f"late {stream}", 0.5, lambda chance: chance.uniform(0, LATE_S))
        self._server.loop.call_later(delay_s, arrive)

    async def consume(
        self,
        stream: str,
        name: str,
        *,
        filters: Sequence[str] = (),
        start: str = "all",
        batch: int = 500,
    ) -> Consumer:
        self._life.step(f"consume {stream} {name}")
        await self._look(stream)
        key = (stream, name)
        if key not in self._server.durables:
            floor = 0 if start == "all" else self._server.streams[stream].last_seq
            self._server.durables[key] = Durable(tuple(filters), floor)
        most = min(batch, self._batch_max)
        return Pull(self._server, self._life, self._weather, stream, name, most)

    async def place(self, stream: str, name: str, *, filters: Sequence[str] = ()) -> int:
        self._life.step(f"place {name}")
        await self._look(stream)
        return self._server.durables.setdefault((stream, name), Durable(tuple(filters), 0)).floor

    async def move(self, stream: str, name: str, seq: int) -> None:
        self._life.step(f"move {name}", seq)
        (await self._durable(stream, name, "move")).floor = seq
        self._life.step(f"moved {name}", seq)

    async def pause(self, stream: str, name: str, until_ms: int) -> None:
        self._life.step(f"pause {name}", until_ms)
        (await self._durable(stream, name, "pause")).paused_until_ms = until_ms

    async def _durable(self, stream: str, name: str, what: str) -> Durable:
        await asyncio.sleep(self._weather.delay_s(f"{what} {name}"))
        self._down.check(stream)
        gone = self._weather.happens("bus.gone", name if what == "move" else f"{what} {name}")
        if gone or (stream, name) not in self._server.durables:
            self._life.trace(f"  {name}: the consumer is gone")
            raise Unavailable(f"{stream}.{name}: gone")
        return self._server.durables[stream, name]

    async def read(
        self,
        stream: str,
        *,
        first_seq: int = 1,
        subject: str = ">",
        last_seq: int | None = None,
        since_ms: int = 0,
    ) -> AsyncIterator[list[Stored]]:
        self._life.step(f"read {stream}", f"from {first_seq}")
        await self._look(stream)
        found = self._server.streams[stream]
        until = found.last_seq if last_seq is None else last_seq
        seq = first_seq
        if since_ms:
            later = (stored.seq for stored in found.messages.values() if stored.at_ms >= since_ms)
            seq = next(later, until + 1)
        while seq <= until:
            chunk = [
                stored
                for stored in (found.messages.get(each) for each in range(seq, until + 1))
                if stored is not None and matches(subject, stored.subject)
            ][:CHUNK_MAX]
            if not chunk:
                return
            seq = chunk[-1].seq + 1
            yield chunk
            await self._look(stream)

    async def last(self, stream: str, subject: str) -> Stored | None:
        self._life.step(f"last {stream}", subject)
        await self._look(stream)
        found = self._server.streams[stream]
        of_subject = [s for s in found.messages.values() if matches(subject, s.subject)]
        return of_subject[-1] if of_subject else None

    async def info(self, stream: str) -> StreamInfo:
        self._life.step(f"info {stream}")
        await self._look(stream)
        found = self._server.streams[stream]
        first = next(iter(found.messages), found.last_seq + 1)
        return StreamInfo(len(found.messages), 0, first, found.last_seq, {"yellowbus.epoch": "1"})

    async def _look(self, stream: str) -> None:
        await asyncio.sleep(self._weather.delay_s(f"look {stream}"))
        self._down.check(stream)
        if self._weather.happens("bus.deaf", stream):
            self._life.trace(f"  {stream} does not answer")
            raise Unavailable(f"{stream}: no answer")


class Pull:
    """`bus.port.Consumer`: gives each message once, in order, from the acknowledged ones on."""

    def __init__(
        self, server: Server, life: Life, weather: Weather, stream: str, name: str, batch: int
    ) -> None:
        self._server = server
        self._life = life
        self._weather = weather
        self._stream = stream
        self._name = name
        self._batch = batch
        self._durable = server.durables[stream, name]
        self._given = self._durable.floor

    async def next(self) -> list[Stored]:
        while True:
            await asyncio.sleep(self._weather.delay_s(f"next {self._name}"))
            if self._weather.happens("bus.gone", self._name):
                self._life.trace(f"  {self._name}: the consumer is gone")
                raise Unavailable(f"{self._stream}.{self._name}: gone")
            if self._given > self._durable.floor and self._weather.happens("bus.again", self._name):
                self._life.trace(f"  {self._name}: what is not acknowledged comes again")
                self._given = self._durable.floor
            found = self._beyond(self._given, self._most())
            if found:
                self._given = found[-1].seq
                self._life.step(f"next {self._name}", _listed([stored.seq for stored in found]))
                return found
            await self._server.news()

    @property
    def waiting(self) -> int:
        return len(self._beyond(self._given, 1))

    def _most(self) -> int:
        drawn = self._weather.choices.of
        return drawn(f"batch {self._name}", self._batch, lambda chance: chance.randint(1, self._batch))

    def _beyond(self, seq: int, most: int) -> list[Stored]:
        stream, filters = self._server.streams[self._stream], self._durable.filters
        found: list[Stored] = []
        for each in range(seq + 1, stream.last_seq + 1):
            stored = stream.messages.get(each)
            if stored and (not filters or any(matches(filter_, stored.subject) for filter_ in filters)):
                found.append(stored)
                if len(found) == most:
                    break
        return found

    async def ack(self, message: Stored) -> None:
        self._life.step(f"ack {self._name}", message.seq)
        if self._weather.happens("bus.ack", self._name):
            self._life.trace("  the acknowledgement is lost")
        else:
            self._durable.floor = max(self._durable.floor, message.seq)
        self._life.step(f"acked {self._name}", message.seq)

    async def pending(self) -> int:
        return len(self._beyond(self._durable.floor, 1_000_000))

    async def close(self) -> None:
        pass


def _cut(messages: Sequence[Message], most: int) -> list[Sequence[Message]]:
    return [messages[start : start + most] for start in range(0, len(messages), most)]


def _listed(items: Sequence[object]) -> str:
    shown = " ".join(str(item) for item in items[:4])
    return f"{shown} … {items[-1]}" if len(items) > 4 else shown
