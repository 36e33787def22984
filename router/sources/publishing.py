"""Rows of a plan onto EVENTS, in batches: a row advances on the shelf only when its event has its PubAck."""

import hashlib
from collections.abc import Container
from typing import Any, Final

from bus import subjects
from bus.codec import encode_event
from bus.messages import Event, Op
from bus.port import Bus, Message
from router.core.rekey import LINK
from router.sources.rekeying import was
from router.sources.shelf import Read, Shelf

BATCH: Final = 2_000
"""Events at once: ids are random, and a large commit touches each page of the shelf fewer times."""
TAIL_MESSAGES: Final = 5 * BATCH
"""How far back a batch may begin that other systems' events were stored among."""

Row = tuple[Any, ...]


def traceparent(event_id: str) -> str:
    """A W3C traceparent that follows from the event's id, so that a second try has the same."""
    digest = hashlib.blake2b(event_id.encode(), digest_size=24).hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-01"


class Publishing:
    """Publishes the plans of one source. `published` counts since the start."""

    def __init__(self, system: str, shelf: Shelf, bus: Bus, tokens: subjects.Tokens) -> None:
        self._system = system
        self._shelf = shelf
        self._bus = bus
        self._tokens = tokens
        self.published = 0

    async def there(self) -> set[str]:
        """Ids of this system's newest events: a crash may have come between the PubAck of a batch and its
        advance, and the server itself knows ids for half an hour only.
        """
        subject = subjects.event(self._system, "*", "*")
        found: set[str] = set()
        if newest := await self._bus.last(subjects.EVENTS, subject):
            first = max(newest.seq - TAIL_MESSAGES, 1)
            tail = self._bus.read(subjects.EVENTS, first_seq=first, subject=subject, last_seq=newest.seq)
            async for batch in tail:
                found.update(stored.id for stored in batch)
        return found

    async def plan(self, read: Read, there: Container[str] = frozenset()) -> None:
        """Publish the plan of a read, but for what is on the bus already."""
        await self._all("next_plan", "published", read, there)

    async def approved(self, read: Read, there: Container[str] = frozenset()) -> None:
        """Publish what a person has approved of what waited."""
        await self._all("next_approved", "released", read, there)

    async def _all(self, next_: str, done: str, read: Read, there: Container[str]) -> None:
        shelf = self._shelf
        while rows := shelf.read(next_, BATCH):
            messages = [self._message(row, read) for row in rows]
            if messages := [message for message in messages if message.id not in there]:
                await self._bus.publish(subjects.EVENTS, messages)
            kept = [(row[1], row[2], row[4], row[5]) for row in rows if row[3] != Op.DELETE.value]
            gone = [(row[1], row[2]) for row in rows if row[3] == Op.DELETE.value]
            gone += [(row[1], was(row[7])) for row in rows if row[3] == LINK]
            await shelf.commit(
                [
                    shelf.write("advance", kept),
                    shelf.write("retreat", gone),
                    shelf.write(done, [(rows[-1][0],)]),
                ]
            )
            self.published += len(rows)

    def _message(self, row: Row, read: Read) -> Message:
        _, entity, local_id, op, _, _, id_, body = row
        if op == Op.DELETE.value:
            id_ = f"{self._system}.{self._tokens(f'{entity}/{local_id}')}.{read.number}.delete"
            event = Event(
                id_,
                self._system,
                entity,
                Op.DELETE,
                local_id,
                {},
                False,
                read.observed_at_ms,
                read=str(read.number),
            )
            body = encode_event(event)
        said = Op.UPDATE.value if op == LINK else op
        return Message(subjects.event(self._system, entity, said), body, id_, None, traceparent(id_))
