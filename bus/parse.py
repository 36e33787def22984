"""Reading the NATS protocol fast: whole messages straight out of the buffer to who wants them.

nats-py's parser matches each line against up to seven patterns and sends each message through a queue and a
task. Ours handles messages that are complete in the buffer, and leaves everything else to nats-py's.
"""

from collections.abc import Callable
from typing import Any, Final

from nats.protocol.parser import AWAITING_CONTROL_LINE
from nats.protocol.parser import Parser as NatsParser

Direct = Callable[[bytes, bytes, bytes, bytes], None]
"""Gets (subject, reply, headers as they came or b"", body) of every message of a subscription."""

LINE_BYTES_MAX: Final = 4096


class Parser(NatsParser):
    """nats-py's parser with a short way for messages. `direct` has who gets them, by subscription id; what
    raises there ends the connection, as it does in nats-py.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.direct: dict[int, Direct] = {}

    async def parse(self, data: bytes = b"") -> None:
        """Take what came from the socket."""
        buffer = self.buf
        buffer.extend(data)
        if self.state == AWAITING_CONTROL_LINE:
            done, partial = await self._messages(bytes(buffer))
            if done:
                del buffer[:done]
            if partial:
                return
        if buffer:
            await super().parse()

    async def _messages(self, buffer: bytes) -> tuple[int, bool]:
        """Hand out the messages at the beginning of the buffer: how many bytes they were, and whether what
        follows is the beginning of another one.
        """
        position, size, direct = 0, len(buffer), self.direct
        while position < size:
            headed = buffer.startswith(b"HMSG ", position)
            if not headed and not buffer.startswith(b"MSG ", position):
                return position, False
            line_end = buffer.find(b"\r\n", position, position + LINE_BYTES_MAX)
            if line_end < 0:
                return position, size - position < LINE_BYTES_MAX
            parts = buffer[position:line_end].split()
            body_size = int(parts[-1])
            head_size = int(parts[-2]) if headed else 0
            start = line_end + 2
            end = start + body_size
            if end + 2 > size:
                return position, True
            position = end + 2
            sid = int(parts[2])
            reply = parts[3] if len(parts) == (6 if headed else 5) else b""
            head, body = buffer[start : start + head_size], buffer[start + head_size : end]
            heard = direct.get(sid)
            if heard is not None:
                heard(parts[1], reply, head, body)
            else:
                await self.nc._process_msg(sid, parts[1], reply, body, head or None)
        return position, False
