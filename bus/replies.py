"""Answers on their way: each one comes, is denied, or is given up in time. None is waited for for ever."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nats.aio.msg import Msg

from bus.errors import YellowbusError

More = Callable[[Msg], bool]
"""Takes what comes before the answer, and says so by True."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody waits for an answer. `subjects`: what was written, to know a denial by."""

    subjects: Sequence[str]
    deadline_s: float
    answer: asyncio.Future[Msg]
    more: More | None

    def fail(self, error: YellowbusError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # The one who asked may have been cancelled: that is no news.


class Replies:
    """The answers that one connection waits for, all on one inbox, told apart by a token."""

    def __init__(self) -> None:
        self.inbox = ""
        self._waiting: dict[str, _Waiting] = {}
        self._asked = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(
        self, subjects: Sequence[str], deadline_s: float, more: More | None
    ) -> tuple[str, asyncio.Future[Msg]]:
        """A reply subject that was never used before, and the future of the answer that comes there."""
        self._asked += 1
        token = str(self._asked)
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[token] = _Waiting(subjects, deadline_s, answer, more)
        return self.inbox + token, answer

    async def hear(self, msg: Msg) -> None:
        """What nats-py calls for each message on the inbox."""
        token = msg.subject[len(self.inbox) :]
        waiting = self._waiting.get(token)
        if waiting is None or (waiting.more is not None and waiting.more(msg)):
            return
        del self._waiting[token]
        if not waiting.answer.done():
            waiting.answer.set_result(msg)

    def fail_all(self, error: YellowbusError) -> None:
        """The connection is lost: nothing comes any more."""
        for waiting in self._waiting.values():
            waiting.fail(error)
        self._waiting.clear()

    def fail_late(self, now_s: float, error: YellowbusError) -> None:
        """Give up those whose time is over."""
        late = [token for token, waiting in self._waiting.items() if waiting.deadline_s <= now_s]
        for token in late:
            self._waiting.pop(token).fail(error)

    def fail_denied(self, subject: str, error: Callable[[str], YellowbusError]) -> None:
        """The server refused a subject, which nats-py's parser has made lower case."""
        for token, waiting in list(self._waiting.items()):
            ours = next((written for written in waiting.subjects if written.lower() == subject), None)
            if ours is not None:
                self._waiting.pop(token).fail(error(ours))
