"""Store messages: many as atomic batches, few one by one, each with an answer or an error in time.

On disk a batch costs about 5 ms however long it is, a single message 0.5 ms each with `sync_interval: always`
(0.05 without): so batches are many times as fast, from about ten messages on. A batch is stored whole or not
at all.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from nats.aio.msg import Msg

from bus.connection import Connection
from bus.errors import BusError, StreamFull, Unavailable, WrongSequence
from bus.port import Message
from bus.wire import wire

BATCH_MIN: Final = 10
BATCH_MAX: Final = 1000
"""As many as the server takes."""
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
CALLERS_MAX: Final = 20
"""Callers with batches open, two each. The server takes 50 per stream, and drops one silent for 10 s."""
WINDOW_MAX: Final = 256
BATCH_ID_MAX: Final = 20
"""The end of a reply subject: unique, and stored with every message. The server takes 64."""
HEADERS_BYTES_MAX: Final = 4096
ANSWER_MAX_S: Final = 10.0

_WRONG_SEQUENCE: Final = frozenset({10071, 10164})
_FULL: Final = frozenset({10077, 10047, 10023})
_DUPLICATE_IN_BATCH: Final = 10201
_NOT_NOW: Final = frozenset({10008, 10176, 10210, 10211})
"""JetStream starting; a batch dropped as too slow, or one too many open. Nothing is stored."""

_BREAKS_A_HEADER = re.compile(r"[\r\n\x00]")


class _Duplicate(BusError):
    """A message of the batch is in the stream already, so the server stored none of it (10201)."""


def _is_flow(msg: Msg) -> bool:
    """The server's empty word after a batch's first message: go on."""
    return not msg.data and not msg.headers


class _Batch(NamedTuple):
    """One on its way: all of it but the last message is written; that one commits it."""

    messages: Sequence[Message]
    commit: bytes
    answer: "asyncio.Future[Msg]"


class Publisher:
    """Publishes on one connection, for any number of callers at once; each one's order is kept."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._callers = asyncio.Semaphore(CALLERS_MAX)

    async def publish(self, stream: str, messages: Sequence[Message]) -> list[int]:
        """Store messages in order; return each one's sequence. `bus.port.Bus.publish` has the promises.

        Without conditions, up to 256 travel at a time when they go one by one: then, after a StreamFull or
        Denied, some behind the refused one may be stored.
        """
        if len(messages) >= BATCH_MIN:
            async with self._callers:
                return await self._in_batches(stream, messages)
        return await self._singly(stream, messages)

    # Atomic batches.

    async def _in_batches(self, stream: str, messages: Sequence[Message]) -> list[int]:
        seqs: list[int] = []
        before: _Batch | None = None
        for part in batches(messages):
            # It travels while the server writes the one before, but counts from its commit only: so if that
            # one is refused, nothing behind it is stored.
            batch = await self._stage(part)
            if before is not None:
                seqs += await self._stored(stream, before)
            await self._commit(batch)
            before = batch
        if before is not None:
            seqs += await self._stored(stream, before)
        return seqs

    async def _stage(self, messages: Sequence[Message]) -> _Batch:
        # Twice the time: it may have to wait for the batch before it.
        reply, answer = self._connection.expect(
            [message.subject for message in messages], timeout_s=2 * ANSWER_MAX_S, more=_is_flow
        )
        *ahead, commit = encode_batch(
            messages, reply[-BATCH_ID_MAX:], reply, self._connection.payload_max_bytes
        )
        if ahead:
            await self._connection.write(b"".join(ahead))
        return _Batch(messages, commit, answer)

    async def _commit(self, batch: _Batch) -> None:
        if not batch.answer.done():  # else it was refused, or the connection is another one
            await self._connection.write(batch.commit)

    async def _stored(self, stream: str, batch: _Batch) -> list[int]:
        """The sequences of a committed batch: it stands in the stream without a gap."""
        try:
            last = sequence(stream, await batch.answer)
        except _Duplicate:
            return await self._singly(stream, batch.messages)
        return list(range(last - len(batch.messages) + 1, last + 1))

    # One by one: few of them, or some of a batch are in the stream already.

    async def _singly(self, stream: str, messages: Sequence[Message]) -> list[int]:
        if any(message.expect_last is not None for message in messages):
            return await self._in_turn(stream, messages)
        seqs: list[int] = []
        for start in range(0, len(messages), WINDOW_MAX):
            answers = await self._send(messages[start : start + WINDOW_MAX])
            seqs += [sequence(stream, await answer) for answer in answers]
        return seqs

    async def _send(self, messages: Sequence[Message]) -> "list[asyncio.Future[Msg]]":
        commands, answers = [], []
        for message in messages:
            reply, answer = self._connection.expect((message.subject,), timeout_s=ANSWER_MAX_S)
            head = headers(message, message.expect_last)
            commands.append(_wire(message, reply, head, self._connection.payload_max_bytes))
            answers.append(answer)
        await self._connection.write(b"".join(commands))
        return answers

    async def _in_turn(self, stream: str, messages: Sequence[Message]) -> list[int]:
        """Each after the answer of the one before, which the next on its subject is compared with."""
        seqs: list[int] = []
        newest: dict[str, int] = {}
        for message in messages:
            if message.expect_last is not None and message.subject in newest:
                message = message._replace(expect_last=newest[message.subject])
            seq = await self._one(stream, message)
            newest[message.subject] = seq
            seqs.append(seq)
        return seqs

    async def _one(self, stream: str, message: Message) -> int:
        try:
            return await self._answered(stream, message)
        except WrongSequence:
            # For a single message the server compares first and looks for the id after (2.15.1, tried); for
            # a batch it is the other way round. So a batch of one tells a duplicate from another writer.
            if not message.id or not await self._known(stream, message):
                raise
        return await self._answered(stream, message._replace(expect_last=None))

    async def _answered(self, stream: str, message: Message) -> int:
        [answer] = await self._send([message])
        return sequence(stream, await answer)

    async def _known(self, stream: str, message: Message) -> bool:
        batch = await self._stage([message])
        await self._commit(batch)
        try:
            sequence(stream, await batch.answer)
        except _Duplicate:
            return True
        except WrongSequence:
            pass
        return False


# Pure.


def batches(messages: Sequence[Message], *, count_max: int = BATCH_MAX) -> Iterator[Sequence[Message]]:
    """Cut into atomic batches, each within its number of messages and bytes, in order."""
    start = size = 0
    for at, message in enumerate(messages):
        if at > start and (at - start == count_max or size + len(message.body) > BATCH_BYTES_MAX):
            yield messages[start:at]
            start, size = at, 0
        size += len(message.body)
    if start < len(messages):
        yield messages[start:]


def encode_batch(
    messages: Sequence[Message], batch_id: str, reply: str, payload_max_bytes: int
) -> list[bytes]:
    """The commands of one atomic batch. Only the first message of a subject carries its condition (10164).

    The first asks for an answer, so that a refusal is heard with its reason; the last commits.
    """
    commands = []
    compared: set[str] = set()
    for number, message in enumerate(messages, 1):
        expect = None if message.subject in compared else message.expect_last
        compared.add(message.subject)
        head = f"Nats-Batch-Id: {batch_id}\r\nNats-Batch-Sequence: {number}\r\n" + headers(message, expect)
        if number == len(messages):
            head += "Nats-Batch-Commit: 1\r\n"
        asks = number in (1, len(messages))
        commands.append(_wire(message, reply if asks else "", head, payload_max_bytes))
    return commands


def headers(message: Message, expect_last: int | None) -> str:
    """The header lines of one message. Raises BusError if its id would break a line."""
    lines = ""
    if message.id:
        lines = f"Nats-Msg-Id: {message.id}\r\n"
    if message.traceparent:
        lines += f"traceparent: {message.traceparent}\r\n"
    if expect_last is not None:
        lines += f"Nats-Expected-Last-Subject-Sequence: {expect_last}\r\n"
    if _BREAKS_A_HEADER.search(message.id + message.traceparent):
        raise BusError(f"{message.subject}: an id with a line break in it. It is made wrongly at its source")
    return lines


def _wire(message: Message, reply: str, head: str, payload_max_bytes: int) -> bytes:
    if len(message.body) + HEADERS_BYTES_MAX > payload_max_bytes:
        # The server would end the connection for it.
        raise BusError(
            f"{message.subject}: a body of {len(message.body)} bytes (the server takes "
            f"{payload_max_bytes - HEADERS_BYTES_MAX}). Raise max_payload in nats.conf"
        )
    return wire(message.subject, reply, head, message.body)


def sequence(stream: str, msg: Msg) -> int:
    """The sequence in a PubAck: of a batch, its last.

    Raises WrongSequence, StreamFull, Unavailable, or BusError for what only a wrong set-up can cause.
    """
    if msg.headers and msg.headers.get("Status") == "503":
        raise Unavailable(
            f"{stream}: no stream takes it. Provision it, or switch JetStream on", runbook="bus-down"
        )
    ack = json.loads(msg.data)
    error = ack.get("error")
    if error is None:
        seq: int = ack["seq"]
        return seq
    code, text = (
        error.get("err_code", 0),
        f"{stream}: {error.get('description', '')} ({error.get('err_code')})",
    )
    if code == _DUPLICATE_IN_BATCH:
        raise _Duplicate(text)
    if code in _WRONG_SEQUENCE:
        raise WrongSequence(text, runbook="bus-second-writer")
    if code in _NOT_NOW:
        raise Unavailable(text, runbook="bus-down")
    if code in _FULL or error.get("code") == 503:
        raise StreamFull(f"{text}. Make room, or raise the limit", runbook="bus-full")
    raise BusError(text)
