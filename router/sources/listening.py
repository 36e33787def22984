"""One source that speaks by itself: what it says is on the bus for good before it is thanked.

The same news again is no second event: the server knows ids for half an hour, the source's own file for as
long as EVENTS does. It is written after the PubAck; what a crash has kept out of it is found on EVENTS.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from bus import subjects
from bus.adapter import Listener, Said, Sleep, Unsound
from bus.codec import encode_event
from bus.errors import StreamFull, Unavailable
from bus.messages import AuditRecord, Event, Op, Outcome, Step
from bus.port import Bus, Message
from router.outbox import Outbox, audit_messages
from router.sources.heard import Heard
from router.sources.publishing import traceparent
from router.sources.reach import Reach
from router.sources.runner import RETRY_S
from router.sources.said import News, Reader
from router.sources.shelf import Read
from router.sources.staging import EVENT_BYTES_MAX

KEPT: Final = "Nothing was taken: the sender has it, and says it again."


class Heeded(NamedTuple):
    """One thing said that is to be an event: which it was, what it comes to, its message."""

    nth: int
    news: News
    message: Message


class ListenerRunner:
    """Hears one system and publishes what it says."""

    def __init__(
        self,
        *,
        system: str,
        listener: Listener,
        reader: Reader,
        heard: Heard,
        bus: Bus,
        outbox: Outbox,
        now_ms: Callable[[], int],
        sleep: Sleep,
        trouble: Callable[[str], None],
    ) -> None:
        self.system = system
        self._listener = listener
        self._reader = reader
        self._heard = heard
        self._bus = bus
        self._outbox = outbox
        self._now_ms = now_ms
        self._sleep = sleep
        self._reach = Reach(system, outbox, now_ms, trouble)
        self._turn = asyncio.Lock()
        self._unsure = True  # whether all that is on EVENTS is in the file
        self.published = 0
        self.duplicates = 0
        self.unwanted = 0
        self.last_heard_ms = 0

    @property
    def unreachable(self) -> str:
        """Why it cannot be heard, or its news not be published; '' : it can."""
        return self._reach.unreachable

    def reads(self, most: int) -> list[Read]:
        """It is never read."""
        return []

    async def run(self) -> None:
        """Listen for ever. Where that cannot be done now, it is tried again."""
        while True:
            try:
                await self._listener.check()
                self._reach.well()
                await self._listener.listen(self.take)
            except (Unavailable, StreamFull) as error:
                await self._reach.lost(error, kept=KEPT)
                await self._sleep(RETRY_S)

    async def take(self, said: Sequence[Said]) -> None:
        """Put what was said on the bus, all or nothing, in the order in which it was said.

        One at a time: so what was not taken can be said again under the same ids. Raises Unsound, Unavailable
        or StreamFull.
        """
        async with self._turn:
            now_ms = self._now_ms()
            try:
                await self._take(said, now_ms)
            except (Unavailable, StreamFull) as error:
                await self._reach.lost(error, kept=KEPT)
                raise
            self._reach.well()
            self.last_heard_ms = now_ms

    async def _take(self, said: Sequence[Said], now_ms: int) -> None:
        if self._unsure:
            await self._recall()
        heeded, number, unwanted = self._read(said, now_ms)
        known = self._heard.known([each.message.id for each in heeded])
        fresh: dict[str, Message] = {}
        again: list[Heeded] = []
        for each in heeded:
            if each.message.id in known or each.message.id in fresh:
                again.append(each)
            else:
                fresh[each.message.id] = each.message
        if fresh:
            self._unsure = True
            seqs = await self._bus.publish(subjects.EVENTS, list(fresh.values()))
            await self._heard.keep(fresh, now_ms, number=number, seq=max(seqs))
            self._unsure = False
        if again:
            records = [self._again(each, now_ms) for each in again]
            await self._outbox.leave(audit_messages(records))
        self.published += len(fresh)
        self.duplicates += len(again)
        self.unwanted += unwanted

    def _read(self, said: Sequence[Said], now_ms: int) -> tuple[list[Heeded], int, int]:
        """What is to be published, the number of the last news without an id, and how many nobody wants."""
        heeded: list[Heeded] = []
        number, unwanted = self._heard.number, 0
        for index, each in enumerate(said):
            found = self._reader.read(index, each)
            unwanted += not found
            for news in found:
                number += not news.name
                message = self._message(news, number, now_ms)
                if len(message.body) > EVENT_BYTES_MAX:
                    text = f"its event has {len(message.body)} bytes (at most {EVENT_BYTES_MAX})"
                    raise Unsound(index, "data", text)
                heeded.append(Heeded(index, news, message))
        return heeded, number, unwanted

    def _message(self, news: News, number: int, now_ms: int) -> Message:
        id_ = self._reader.id_of(news, number)
        event = Event(
            id_,
            self.system,
            news.entity,
            news.op,
            news.local_id,
            news.fields,
            news.full,
            now_ms - news.age_ms,  # else news that had to be sent again would seem newer than it is
            news.occurred_at_ms,
            hub_id=news.hub_id,
        )
        subject = subjects.event(self.system, news.entity, Op(news.op).value)
        return Message(subject, encode_event(event), id_, None, traceparent(id_))

    def _again(self, each: Heeded, now_ms: int) -> AuditRecord:
        id_ = each.message.id
        return AuditRecord(
            f"{id_}/again/{now_ms}.{each.nth}",
            Step.EVENT,
            Outcome.DUPLICATE,
            now_ms,
            source=self.system,
            entity=each.news.entity,
            local_id=each.news.local_id,
            op=each.news.op,
            reason="its id was taken before",
            event_id=id_,
            observed_at_ms=now_ms,
        )

    async def _recall(self) -> None:
        """Learn the ids of events that are on EVENTS and not in the file: it was lost, or a crash or a lost
        answer came between them and it.
        """
        subject = subjects.event(self.system, "*", "*")
        was_lost = not self._heard.seq
        newest = await self._bus.last(subjects.EVENTS, subject)
        if newest is not None and newest.seq > self._heard.seq:
            first = self._heard.seq + 1
            tail = self._bus.read(subjects.EVENTS, first_seq=first, subject=subject, last_seq=newest.seq)
            async for batch in tail:
                ids = [stored.id for stored in batch if stored.id]
                # Else a number is given again, so that what is said again has the id that it had.
                number = max(map(self._reader.number_in, ids), default=0) if was_lost else 0
                await self._heard.keep(ids, batch[-1].at_ms, number=number, seq=batch[-1].seq)
        self._unsure = False
