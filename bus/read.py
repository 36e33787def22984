"""Look into a stream without a consumer: batched direct gets. Stateless, and leaves no trace."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nats.aio.msg import Msg

from bus.connection import ApiError, Connection
from bus.errors import Unavailable
from bus.port import Stored, StreamInfo
from bus.provision import NO_STREAM
from bus.wire import wire

CHUNK_MAX: Final = 500
CHUNK_BYTES_MAX: Final = 8 * 1024 * 1024
CHUNK_MAX_S: Final = 10.0

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class Reader:
    """Reads streams on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(
        self,
        stream: str,
        *,
        first_seq: int = 1,
        subject: str = ">",
        last_seq: int | None = None,
        since_ms: int = 0,
    ) -> AsyncIterator[list[Stored]]:
        """Look through a stream from a sequence or time up to a sequence (None: the last one now), in lists.

        Sequences have gaps: limits and deletes are normal. Raises Unavailable.
        """
        until = last_seq if last_seq is not None else (await self.info(stream)).last_seq
        seq = max(first_seq, 1)
        while seq <= until:
            chunk = await self._chunk(stream, seq, subject, since_ms)
            since_ms = 0
            if not chunk:
                return
            seq = chunk[-1].seq + 1
            if chunk[-1].seq > until:
                chunk = [message for message in chunk if message.seq <= until]
            if chunk:
                yield chunk

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message on a subject (wildcards: among all that match), or None. Raises Unavailable."""
        body = json.dumps({"last_by_subj": subject}).encode()
        msg = await self._connection.request(f"$JS.API.DIRECT.GET.{stream}", body)
        status = (msg.headers or {}).get("Status")
        if status == "404":
            return None
        if status is not None:
            raise _unreadable(stream, status)
        return stored(msg)

    async def info(self, stream: str) -> StreamInfo:
        """What the stream holds now. Raises Unavailable, also if there is no such stream."""
        try:
            reply = await self._connection.api(f"STREAM.INFO.{stream}")
        except ApiError as error:
            if error.code == NO_STREAM:
                raise _unreadable(stream, "404") from error
            raise
        return stream_info(reply)

    async def _chunk(self, stream: str, seq: int, subject: str, since_ms: int) -> list[Stored]:
        """What one direct get brings: up to 500 messages, none at the end of the stream."""
        found: list[Stored] = []

        def more(msg: Msg) -> bool:
            if msg.headers and "Status" in msg.headers:
                return False
            found.append(stored(msg))
            return True

        body = {"batch": CHUNK_MAX, "max_bytes": CHUNK_BYTES_MAX, "next_by_subj": subject}
        body |= {"start_time": (_EPOCH + since_ms * _MS).isoformat()} if since_ms else {"seq": seq}
        where = f"$JS.API.DIRECT.GET.{stream}"
        reply, answer = self._connection.expect((where,), timeout_s=CHUNK_MAX_S, more=more)
        await self._connection.write(wire(where, reply, "", json.dumps(body).encode()))
        status = ((await answer).headers or {}).get("Status", "")
        if status not in ("204", "404"):
            raise _unreadable(stream, status)
        return found


def stored(msg: Msg) -> Stored:
    """A message of a direct get: what the consumer has in its ack subject stands in headers here."""
    head = msg.headers or {}
    at = datetime.fromisoformat(head["Nats-Time-Stamp"])
    return Stored(
        subject=head["Nats-Subject"],
        seq=int(head["Nats-Sequence"]),
        at_ms=(at - _EPOCH) // _MS,
        body=msg.data,
        id=head.get("Nats-Msg-Id", ""),
        traceparent=head.get("traceparent", ""),
    )


def stream_info(reply: dict[str, Any]) -> StreamInfo:
    """Of a raw STREAM.INFO."""
    state = reply["state"]
    return StreamInfo(
        messages=state["messages"],
        bytes=state["bytes"],
        first_seq=state["first_seq"],
        last_seq=state["last_seq"],
        metadata=reply["config"].get("metadata") or {},
    )


def _unreadable(stream: str, status: str) -> Unavailable:
    return Unavailable(
        f"{stream}: no such stream to read (status {status or 'none'}). Provision it", runbook="bus-down"
    )
