"""What deciding a batch of events gathers, and the changes that were decided before a crash."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from bus.messages import AuditRecord, Change, Record
from bus.port import Message
from router.core.identity import LinkName


@dataclass(slots=True)
class Batch:
    """What deciding a batch of events gathers: step 1's result, and all that the later steps need."""

    links: dict[LinkName, str]
    records: dict[str, Record]
    asked: set[str]
    changes: list[Change] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    taken: list[tuple[Change, bytes]] = field(default_factory=list)
    new_links: dict[LinkName, str] = field(default_factory=dict)
    seen: dict[str, Record] = field(default_factory=dict)
    audit: list[AuditRecord] = field(default_factory=list)
    alerts: list[Message] = field(default_factory=list)

    def add(self, change: Change, message: Message) -> None:
        """A change of a record, with the message that publishes it."""
        self.changed.add(change.record.key)
        self.seen.pop(change.record.key, None)
        self.changes.append(change)
        self.messages.append(message)

    def saved(self, published: Sequence[int]) -> dict[str, tuple[Record, bytes]]:
        """The newest state of every record that changed, with its sequence on CHANGES and its body there.

        `published`: the sequences of `messages`.
        """
        newest = {change.record.key: (change.record, body) for change, body in self.taken}
        for change, message, seq in zip(self.changes, self.messages, published, strict=True):
            newest[change.record.key] = (change.record._replace(seq=seq), message.body)
        for key, record in self.seen.items():
            if key in newest:  # it said the same once more, after the change
                after, body = newest[key]
                newest[key] = (after._replace(seen=record.seen), body)
        return newest


class Ahead:
    """Changes in stream order, handed out as far as the events have come."""

    def __init__(self, changes: AsyncIterator[tuple[Change, bytes]]) -> None:
        self._changes = changes
        self._next: tuple[Change, bytes] | None = None

    async def until(self, event_seq: int | None, most: int = 0) -> list[tuple[Change, bytes]]:
        """The next changes: of events up to that sequence, or (None) at most so many."""
        found: list[tuple[Change, bytes]] = []
        while not most or len(found) < most:
            change = self._next or await anext(self._changes, None)
            self._next = change
            if change is None or (event_seq is not None and change[0].record.event_seq > event_seq):
                break
            found.append(change)
            self._next = None
        return found
