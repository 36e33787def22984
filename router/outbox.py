"""What was decided and committed, on its way to the bus: audit, alerts, dead letters, state.

A step puts its messages into the same commit as its decision. They are published afterwards, in order, and
again after a crash, under the same ids. So every step that happened is told, and told once.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final

from bus.adapter import Sleep
from bus.codec import encode_audit
from bus.errors import BusError, Denied, StreamFull, Unavailable
from bus.messages import AuditRecord
from bus.port import Bus, Message
from bus.subjects import audit, stream_of
from router.database import Write
from router.store import Store

MESSAGES_AT_ONCE_MAX: Final = 500
RECORDS_IN_MESSAGE_MAX: Final = 400
TAIL_MESSAGES: Final = 2000
RETRY_S: Final = 1.0

_what_the_subject_names: Final = attrgetter("step", "outcome", "source", "destination", "entity")

Then = Callable[[], Awaitable[None]]
"""What follows when messages are on the bus: an acknowledgement."""


def audit_messages(records: Iterable[AuditRecord]) -> list[Message]:
    """Audit records as messages, those of one subject together."""
    groups: defaultdict[tuple[str, ...], list[AuditRecord]] = defaultdict(list)
    for record in records:
        groups[_what_the_subject_names(record)].append(record)
    messages = []
    for group in groups.values():
        first = group[0]
        subject = audit(first.step, first.outcome, first.system, first.entity)
        for start in range(0, len(group), RECORDS_IN_MESSAGE_MAX):
            part = group[start : start + RECORDS_IN_MESSAGE_MAX]
            # With the count: after a rebuild they may be grouped otherwise, and another group under a known
            # id would be dropped with all that only it tells.
            id_ = part[0].id if len(part) == 1 else f"{part[0].id}+{len(part) - 1}"
            messages.append(Message(subject, encode_audit(part), id_, None, part[0].traceparent))
    return messages


class Letters:
    """Messages that one commit carries: `writes` belong into it, `send` comes after it."""

    def __init__(
        self,
        outbox: "Outbox",
        numbered: Sequence[tuple[int, Message]],
        cleared: Sequence[int],
        writes: list[Write],
    ) -> None:
        self._outbox = outbox
        self._numbered = numbered
        self._cleared = cleared
        self.writes = writes

    def send(self, then: Then | None = None) -> Awaitable[None]:
        """Hand them over; what it returns is done when they are on the bus, and `then` is called."""
        self._outbox.forget(self._cleared)
        return self._outbox.hand_over(self._numbered, then)


class Outbox:
    """One publisher for all steps of the router, in the order of their commits."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        sleep: Sleep,
        trouble: Callable[[str], None],
    ) -> None:
        self._store = store
        self._bus = bus
        self._sleep = sleep
        self._trouble = trouble
        self._queue: deque[tuple[int, Message]] = deque()
        self._waiters: deque[tuple[int, asyncio.Future[None], Then | None]] = deque()
        self._handed = 0
        self._published = 0
        self._clear: dict[int, None] = {}  # on the bus, and still in the index
        self._news = asyncio.Event()
        left = store.outbox()
        self._next_id = left[-1][0] + 1 if left else 1

    def put(self, messages: Sequence[Message]) -> Letters:
        """Messages for the commit that is being gathered."""
        first = self._next_id
        self._next_id += len(messages)
        numbered = list(enumerate(messages, first))
        cleared = list(self._clear)
        writes = [
            self._store.write("clear_outbox", [(id_,) for id_ in cleared]),
            self._store.write(
                "save_outbox",
                [(id_, m.subject, m.id, m.body, m.traceparent) for id_, m in numbered],
            ),
        ]
        return Letters(self, numbered, cleared, writes)

    async def leave(self, messages: Sequence[Message]) -> Awaitable[None]:
        """Commit messages that go with no other write. What it returns is done when they are on the bus."""
        letters = self.put(messages)
        await self._store.commit(letters.writes)
        return letters.send()

    async def tell(self, messages: Sequence[Message]) -> None:
        """Commit messages that go with no other write, and see them on the bus."""
        await (await self.leave(messages))

    def forget(self, cleared: Sequence[int]) -> None:
        """The index has let go of these."""
        for id_ in cleared:
            self._clear.pop(id_, None)

    def hand_over(self, numbered: Sequence[tuple[int, Message]], then: Then | None = None) -> Awaitable[None]:
        self._queue.extend(numbered)
        self._handed += len(numbered)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._handed, done, then))
        self._news.set()
        return done

    async def recover(self) -> None:
        """After a start: what an earlier run committed and may not have published.

        A message that already stands at the end of its stream is left out: the server knows ids for half an
        hour only, and a router may be down for longer.
        """
        left = self._store.outbox()
        known: set[tuple[str, str]] = set()  # a delivery and its dead letter have the same id
        for stream in sorted({stream_of(message.subject) for _, message in left}):
            info = await self._bus.info(stream)
            first = max(info.first_seq, info.last_seq - TAIL_MESSAGES, 1)
            async for batch in self._bus.read(stream, first_seq=first):
                known.update((stream, stored.id) for stored in batch)
        there = {id_ for id_, message in left if (stream_of(message.subject), message.id) in known}
        self._clear.update(dict.fromkeys(sorted(there)))
        self.hand_over([(id_, message) for id_, message in left if id_ not in there])

    async def run(self) -> None:
        """Publish for ever. While the bus cannot take them they wait, and the index keeps them."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                batch = [self._queue[i] for i in range(min(len(self._queue), MESSAGES_AT_ONCE_MAX))]
                try:
                    await self._publish([message for _, message in batch])
                except (Unavailable, StreamFull, Denied) as error:
                    self._trouble(str(error))
                    await self._sleep(RETRY_S)
                    continue
                for _ in batch:
                    self._queue.popleft()
                self._clear.update((id_, None) for id_, _ in batch)
                self._published += len(batch)
                await self._tell_waiters()
            await self._tell_waiters()

    async def _tell_waiters(self) -> None:
        while self._waiters and self._waiters[0][0] <= self._published:
            _, done, then = self._waiters.popleft()
            if then is not None:
                with contextlib.suppress(Unavailable):  # it is said again on the next connection
                    await then()
            if not done.done():
                done.set_result(None)

    async def _publish(self, messages: Sequence[Message]) -> None:
        by_stream: dict[str, list[Message]] = {}
        for message in messages:
            by_stream.setdefault(stream_of(message.subject), []).append(message)
        for stream, group in by_stream.items():
            try:
                await self._bus.publish(stream, group)
            except (StreamFull, Denied):
                raise
            except BusError:
                await self._one_by_one(stream, group)

    async def _one_by_one(self, stream: str, group: Sequence[Message]) -> None:
        """One of these can never be published (it is too large, say): the others must not wait for it."""
        for message in group:
            try:
                await self._bus.publish(stream, [message])
            except (StreamFull, Denied):
                raise
            except BusError as error:
                self._trouble(f"{message.subject}: left out, it cannot be published: {error}")

    @property
    def waiting(self) -> int:
        """How many messages are not on the bus yet."""
        return len(self._queue)

    async def settle(self) -> None:
        """Before a stop: all out, and the index knows it."""
        await self.hand_over([])
        letters = self.put([])
        await self._store.commit(letters.writes)
        await letters.send()
