"""What deciding a batch of events gathers, and the changes that were decided before a crash."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bus.messages import AuditRecord, Change, Conflict, Outcome, Record, Step
from bus.port import Message, Stored
from router.core.held import Given
from router.core.identity import LinkName


class Unmatched(NamedTuple):
    """An event of a record that nobody could tell: the records it may be (keys), and what it would be found
    by later (tokens). `body` is the event's. `reused`: its id names a record that it does not speak of.
    """

    name: LinkName
    event_seq: int
    at_ms: int
    tokens: tuple[str, ...]
    candidates: tuple[str, ...]
    body: bytes
    reused: bool = False


class Put(NamedTuple):
    """A record to be brought up to date at a destination without a change of it. `id` names why."""

    system: str
    key: str
    id: str


class ToTell(NamedTuple):
    """A conflict to be told: its id, where it stands on EVENTS, when."""

    id: str
    conflict: Conflict
    at_ms: int


@dataclass(slots=True)
class Batch:
    """What deciding a batch of events gathers: step 1's result, and all that the later steps need."""

    links: dict[LinkName, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    """Keys that were looked up: one that has no record then is taken by none."""
    changes: list[Change] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    taken: list[tuple[Change, bytes]] = field(default_factory=list)
    new_links: dict[LinkName, str] = field(default_factory=dict)
    gone_links: dict[LinkName, None] = field(default_factory=dict)
    seen: dict[str, Record] = field(default_factory=dict)
    audit: list[AuditRecord] = field(default_factory=list)
    alerts: list[Message] = field(default_factory=list)
    conflicts: list[ToTell] = field(default_factory=list)
    picked: list[tuple[str, str]] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    bouncing: list[tuple[str, str]] = field(default_factory=list)
    """(system, entity) of records that come back wrong however often they are set right."""
    given: dict[tuple[str, str], Given] = field(default_factory=dict)
    instants: dict[str, int] = field(default_factory=dict)
    matches: dict[str, dict[str, bool]] = field(default_factory=dict)
    """By token the keys that have it now (True), or have it no more (False)."""
    unmatched: dict[LinkName, Unmatched] = field(default_factory=dict)
    dismissed: dict[LinkName, tuple[int, bytes] | None] = field(default_factory=dict)
    """What a person wants to hear of no more: the newest event of it; None: it is heard again."""
    matched: dict[LinkName, int] = field(default_factory=dict)
    """Names that are unmatched no more, by the event that says so."""
    loose: dict[tuple[str, str, str], None] = field(default_factory=dict)
    """(system, local_id, key): the record of that key refers to what is not there."""
    healed: dict[tuple[str, str, str], None] = field(default_factory=dict)
    refers: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(key, key of what refers to it and cannot be without): whether that is past."""
    moved: dict[str, None] = field(default_factory=dict)
    """Records on whose dates others depend, and that have others now."""
    again: list[Message] = field(default_factory=list)
    """Events to be said again: what stood in their way has gone."""

    def add(self, change: Change, message: Message) -> None:
        """A change of a record, with the message that publishes it."""
        self.changed.add(change.record.key)
        self.seen.pop(change.record.key, None)
        self.changes.append(change)
        self.messages.append(message)

    @property
    def is_plain(self) -> bool:
        """Does it write nothing that another batch would look up in the index, but records and new links?"""
        return not (
            self.taken
            or self.gone_links
            or self.matches
            or self.matched
            or self.unmatched
            or self.dismissed
            or self.loose
            or self.healed
        )

    def comes_after(self, saved: Mapping[str, tuple[Record, bytes]]) -> None:
        """The batch before was on its way when this one was decided. `saved`: what it has changed, now with
        sequences on CHANGES.
        """
        for key in saved.keys() & self.records.keys():
            self.records[key] = self.records[key].at(saved[key][0].seq)
        for key in saved.keys() & self.seen.keys():
            self.seen[key] = self.records[key]
        if not self.changed.isdisjoint(saved):
            self.messages = [
                message._replace(expect_last=saved[change.record.key][0].seq)
                if message.expect_last is not None and change.record.key in saved
                else message
                for change, message in zip(self.changes, self.messages, strict=True)
            ]

    def saved(self, published: Sequence[int]) -> dict[str, tuple[Record, bytes]]:
        """The newest state of every record that changed, with its sequence on CHANGES and its body there.

        `published`: the sequences of `messages`.
        """
        newest = {change.record.key: (change.record, body) for change, body in self.taken}
        for change, message, seq in zip(self.changes, self.messages, published, strict=True):
            newest[change.record.key] = (change.record.at(seq), message.body)
        for key, record in self.seen.items():
            if key in newest:  # it said the same once more, after the change
                after, body = newest[key]
                newest[key] = (after._replace(seen=record.seen, turns=record.turns), body)
        return newest


def set_aside(batch: Batch, stored: Stored, reason: str, now_ms: int) -> None:
    """Not one of our events, or one that we cannot handle: settled as invalid, told, kept on EVENTS."""
    _, system, entity, op, *_ = [*stored.subject.split("."), "", "", ""]
    batch.audit.append(
        AuditRecord(
            f"event/{stored.seq}",
            Step.EVENT,
            Outcome.INVALID,
            now_ms,
            source=system,
            entity=entity,
            op=op,
            reason=reason,
            seq=stored.seq,
            event_id=stored.id,
            traceparent=stored.traceparent,
        )
    )


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
