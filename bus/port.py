"""What the router needs of a bus. `bus.jetstream` has it on nats-server, the simulator has it in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """One message to store. `id` is its Nats-Msg-Id. `expect_last`: the sequence that the newest message on
    its subject must have (0: there is none), or None for no such condition.
    """

    subject: str
    body: bytes
    id: str = ""
    expect_last: int | None = None
    traceparent: str = ""


class Stored(NamedTuple):
    """One message as a stream has it. `at_ms`: when the server stored it."""

    subject: str
    seq: int
    at_ms: int
    body: bytes
    id: str = ""
    traceparent: str = ""
    reply: str = ""


class StreamInfo(NamedTuple):
    """What a stream holds. `metadata` has our schema version and epoch."""

    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    metadata: Mapping[str, str]


class Consumer(Protocol):
    """A durable pull consumer with one reader, in stream order, acknowledged up to a message."""

    async def next(self) -> list[Stored]:
        """The next messages, at least one, in order; waits for them. Survives a lost connection.

        Raises Unavailable if the consumer or its stream is gone.
        """
        ...

    async def ack(self, message: Stored) -> None:
        """This message and all before it are done."""
        ...

    @property
    def waiting(self) -> int:
        """How many messages have arrived and are not given to the reader yet."""
        ...

    async def pending(self) -> int:
        """How many messages the stream has for it that it did not acknowledge."""
        ...

    async def close(self) -> None:
        """Stop pulling. The durable stays on the server."""
        ...


class Bus(Protocol):
    """Streams to write, follow and look into."""

    async def publish(self, stream: str, messages: Sequence[Message]) -> list[int]:
        """Store messages in order; return each one's sequence. Returns once all are on disk.

        Many are sent as atomic batches: a batch is stored whole or not at all. A message whose id the
        stream knows already is not stored again: its sequence is the first one's. Several messages with
        `expect_last` on one subject: only the first is compared within a batch (10164).
        Raises WrongSequence, StreamFull, Denied: said by the server, the rest is not stored.
        Raises Unavailable: the answer was lost, so any part of them may be stored or not.
        """
        ...

    async def consume(
        self,
        stream: str,
        name: str,
        *,
        filters: Sequence[str] = (),
        start: str = "all",
        batch: int = 500,
    ) -> Consumer:
        """Follow a stream as durable `name`; makes it if it is not there (`start`: "all" or "new").

        Resets it first: what was delivered but not acknowledged comes again, in order.
        """
        ...

    async def place(self, stream: str, name: str, *, filters: Sequence[str] = ()) -> int:
        """Up to which sequence durable `name` is done; makes it if it is not there. Nothing is delivered."""
        ...

    async def move(self, stream: str, name: str, seq: int) -> None:
        """Durable `name` is done up to that sequence. Raises Unavailable if it is gone."""
        ...

    async def pause(self, stream: str, name: str, until_ms: int) -> None:
        """Durable `name` delivers nothing until then (0: it is not paused). The server shows it, and ends it
        by itself. It can be moved all the same. Raises Unavailable if it is gone.
        """
        ...

    def read(
        self,
        stream: str,
        *,
        first_seq: int = 1,
        subject: str = ">",
        last_seq: int | None = None,
        since_ms: int = 0,
    ) -> AsyncIterator[list[Stored]]:
        """Look through a stream from a sequence up to another (None: the last one now). Leaves no trace.

        `since_ms`: from the first message stored at that time or later on; then `first_seq` says nothing.
        """
        ...

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message on a subject (wildcards: among all that match), or None."""
        ...

    async def info(self, stream: str) -> StreamInfo:
        """What the stream holds now."""
        ...
