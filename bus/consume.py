"""Follow a stream: a durable pull consumer with one reader, in order, acknowledged up to a message.

Pulls overlap, so that the next messages travel while these are worked on. Whatever goes wrong on the way (a
cut, silence, a consumer that moved) has one remedy: begin again at the last acknowledgement, and give the
reader nothing that it was given already.
"""

import asyncio
import logging
import math
from collections import deque
from contextlib import suppress
from typing import Final

from nats.aio.subscription import Subscription

from bus.connection import ApiError, Connection
from bus.errors import Unavailable, YellowbusError
from bus.port import Stored
from bus.provision import NO_CONSUMER, NO_STREAM
from bus.topology import SECOND_NS
from bus.wire import header, headers_of, wire

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 5
SILENCE_MAX_S: Final = 2 * HEARTBEAT_S
EXPIRES_S: Final = 30
BUFFER_BYTES_MAX: Final = 8 * 1024 * 1024
BEGIN_WAIT_S: Final = 1.0
LAST_ACK_MAX_S: Final = 0.5

_STATUS: Final = b"NATS/1.0 "
"""A message of the server's own has a status on its first line; one of ours has none."""
_GONE: Final = ("consumer deleted", "consumer is push based", "stream deleted")


def parse_ack(reply: str) -> tuple[int, int]:
    """Stream sequence and time (ms) of a delivery, from its ack subject, of v1 (9 tokens) or v2 (11 or more:
    domain and account stand before the stream, jetstream.md appendix B).

    >>> parse_ack("$JS.ACK.EVENTS.intake.1.12.3.1795447904477170470.59")
    (12, 1795447904477)
    >>> parse_ack("$JS.ACK._.XYZ.EVENTS.intake.1.12.3.1795447904477170470.59.token")
    (12, 1795447904477)
    """
    tokens = reply.split(".")
    first = 4 if len(tokens) == 9 else 6
    return int(tokens[first + 1]), int(tokens[first + 3]) // 1_000_000


class PullConsumer:
    """`bus.port.Consumer`. Begun by `begin`; there is nothing to wait for before that."""

    def __init__(self, connection: Connection, stream: str, name: str, batch: int) -> None:
        self._connection = connection
        self._where = f"{stream}.{name}"
        self._batch = batch
        self._subscription: Subscription | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._begin_at_s: float | None = None
        self._gone: Unavailable | None = None
        self._arrived = asyncio.Event()
        self._buffer: deque[Stored] = deque()
        self._buffer_bytes = 0
        self._inbox = ""
        self._pulling = False
        self._asked = 0  # messages that open pulls may still bring
        self._heard = False
        self._silent_since_s: float | None = None
        self._received = 0  # highest sequence in the buffer or given out
        self._given = 0  # highest sequence given to the reader
        self._given_before = 0  # the same, when this beginning began: its replies are of an older one
        self._again: dict[int, str] = {}  # replies of what was given out before and came again
        self._acked = 0
        self._last_ack = ""

    # What the reader calls.

    async def next(self) -> list[Stored]:
        """The next messages, at least one, in order; waits for them. Cancel it freely: none is lost.

        Raises Unavailable if the consumer or its stream is gone.
        """
        while not self._buffer:
            if self._gone is not None:
                raise self._gone
            self._arrived.clear()
            await self._arrived.wait()
        taken = [self._buffer.popleft() for _ in range(min(self._batch, len(self._buffer)))]
        self._buffer_bytes -= sum(len(message.body) for message in taken)
        self._given = taken[-1].seq
        self._pull_soon()
        return taken

    async def ack(self, message: Stored) -> None:
        """This message and all before it are done. Without a connection it is said on the next one."""
        if self._gone is not None:  # closed meanwhile: whoever follows it now counts deliveries anew
            return
        self._acked = max(self._acked, message.seq)
        # After a reset the server counts deliveries from 1. An older reply would be taken for a far later
        # delivery, and the acknowledgements up to there be ignored (2.15.1, tried).
        reply = message.reply if message.seq > self._given_before else ""
        if self._again:
            reply = self._again.get(message.seq, reply)
            self._again = {seq: text for seq, text in self._again.items() if seq > message.seq}
        if reply and self._connection.up:
            self._last_ack = reply
            await self._connection.write(wire(reply, "", "", b""))

    async def pending(self) -> int:
        """How many messages the stream has for it that it did not acknowledge. Raises Unavailable."""
        info = await self._connection.api(f"CONSUMER.INFO.{self._where}")
        return int(info["num_pending"]) + int(info["num_ack_pending"])

    async def close(self) -> None:
        """Stop pulling. The durable stays on the server."""
        self._connection.forget(self)
        self._end(Unavailable(f"{self._where}: closed"))
        if self._beginning is not None:
            self._beginning.cancel()
        await self._let_go()

    @property
    def waiting(self) -> int:
        """How many messages have arrived and are not given to the reader yet."""
        return len(self._buffer)

    # Beginning, and beginning again.

    async def begin(self) -> None:
        """Reset the durable to its last acknowledgement, and pull from there.

        Raises Unavailable if it is not there.
        """
        await self._let_go()
        self._buffer.clear()
        self._again.clear()
        self._buffer_bytes = self._asked = 0
        self._pulling = False
        self._received = self._given_before = self._given
        try:
            await self._reset()
        except ApiError as error:
            if error.code not in (NO_CONSUMER, NO_STREAM):
                raise
            self._end(self._missing())
            raise self._missing() from error
        self._inbox = self._connection.new_inbox()
        self._subscription = await self._connection.subscribe_direct(self._inbox, self._hear)
        await self._pull()

    async def _reset(self) -> None:
        # A reset of what is not there is never answered (2.15.1, tried): ask first.
        await self._connection.api(f"CONSUMER.INFO.{self._where}")
        last_ack, self._last_ack = self._last_ack, ""
        if last_ack:
            # Acknowledgements wait in a queue of their own on the server. One that came out of it after the
            # reset would count for the new deliveries: so say the last again, and wait for the answer. None
            # comes from a server that was killed and does not know of that delivery any more.
            with suppress(Unavailable):
                await self._connection.request(last_ack, timeout_s=LAST_ACK_MAX_S)
        await self._connection.api(f"CONSUMER.RESET.{self._where}")

    async def _let_go(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await self._connection.unsubscribe(subscription)

    async def _begin_again(self) -> None:
        try:
            await self.begin()
        except YellowbusError as error:
            log.info("consumer not begun", extra={"consumer": self._where, "why": str(error)})
            self._begin_later()

    def _begin_later(self) -> None:
        if self._begin_at_s is None:
            self._begin_at_s = math.inf  # The next tick knows the time.

    # What the connection calls.

    def lost(self) -> None:
        self._begin_at_s = None
        if self._beginning is not None:
            self._beginning.cancel()

    def restored(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
        if self._gone is None:
            self._beginning = self._connection.spawn(self._begin_again())

    def tick(self, now_s: float) -> None:
        if self._gone is not None or not self._connection.up:
            return
        if self._heard or self._asked <= 0 or self._silent_since_s is None:
            self._heard, self._silent_since_s = False, now_s
        if self._begin_at_s == math.inf:
            self._begin_at_s = now_s + BEGIN_WAIT_S
        due = self._begin_at_s is not None and self._begin_at_s <= now_s
        if due or now_s - self._silent_since_s >= SILENCE_MAX_S:
            self._begin_at_s, self._silent_since_s = None, now_s
            self.restored()

    # Pulling.

    def _wants_more(self) -> bool:
        return (
            self._asked <= self._batch // 2
            and len(self._buffer) + self._asked <= self._batch
            and self._buffer_bytes < BUFFER_BYTES_MAX
        )

    def _pull_soon(self) -> None:
        if not self._pulling and self._wants_more():
            self._pulling = True
            self._connection.spawn(self._pull())

    async def _pull(self) -> None:
        self._pulling = False
        if self._subscription is None or not self._wants_more():
            return
        self._asked += self._batch
        body = (
            f'{{"batch":{self._batch},"max_bytes":{BUFFER_BYTES_MAX},'
            f'"expires":{EXPIRES_S * SECOND_NS},"idle_heartbeat":{HEARTBEAT_S * SECOND_NS}}}'
        )
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._where}"
        await self._connection.write(wire(subject, self._inbox, "", body.encode()))

    def _hear(self, subject: bytes, reply: bytes, head: bytes, body: bytes) -> None:
        """One message off the socket: no I/O in here, and nothing that waits."""
        if head.startswith(_STATUS):
            self._connection.spawn(self._status(headers_of(head)))
            return
        text = reply.decode()
        try:
            seq, at_ms = parse_ack(text)
        except (ValueError, IndexError):
            log.warning("not a delivery", extra={"consumer": self._where, "bytes": len(body)})
            return
        self._heard = True
        self._asked -= 1
        if seq <= self._received:
            self._came_again(seq, text)
            return
        self._received = seq
        id_ = trace = ""
        if head:
            id_, trace = header(head, b"Nats-Msg-Id"), header(head, b"traceparent")
        self._buffer.append(Stored(subject.decode(), seq, at_ms, body, id_, trace, text))
        self._buffer_bytes += len(body)
        self._arrived.set()
        self._pull_soon()

    def _came_again(self, seq: int, reply: str) -> None:
        if seq <= self._acked:
            self._last_ack = reply
            self._connection.spawn(self._connection.write(wire(reply, "", "", b"")))
        else:
            self._again[seq] = reply
        self._pull_soon()

    async def _status(self, head: dict[str, str]) -> None:
        self._heard = True
        code, text = head["Status"], head.get("Description", "").lower()
        if code == "100":
            return
        if any(gone in text for gone in _GONE):
            self._end(self._missing())
        elif code in ("404", "408") or "exceeds maxbytes" in text or "batch completed" in text:
            left = head.get("Nats-Pending-Messages", "")
            self._asked -= int(left) if left.isdecimal() else self._batch
            await self._pull()
        else:
            # 503 nobody there, 409 leadership change or shutdown, 423 another's pin: look again in a moment.
            log.info("pull refused", extra={"consumer": self._where, "status": code, "why": text})
            self._begin_later()

    def _end(self, why: Unavailable) -> None:
        self._gone = why
        self._arrived.set()

    def _missing(self) -> Unavailable:
        return Unavailable(
            f"{self._where}: the consumer or its stream is gone from the server. Start again to make it anew",
            runbook="bus-consumer-gone",
        )
