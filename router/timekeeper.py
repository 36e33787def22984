"""The timetable: when an owner of a record's fields may be another one, a `date` event says so.

The event goes the same way as all others, so that what a date changes is decided in their order, and after a
downtime all that came due is said in the order of its time. Intake notes the next instant with each decision.
"""

from collections.abc import Callable
from typing import Final

from bus import subjects
from bus.adapter import Sleep
from bus.codec import encode_event
from bus.errors import StreamFull, Unavailable
from bus.messages import Event, Op
from bus.port import Bus, Message
from router.decided import entity_of
from router.gathering import OURSELVES
from router.store import Store

AT_ONCE: Final = 500
LOOK_S: Final = 5.0
"""The longest sleep: an instant may be noted meanwhile that comes sooner."""
RETRY_S: Final = 5.0


class Timekeeper:
    """Says that a date has come, for each record that waits for it."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: Store,
        tokens: subjects.Tokens,
        now_ms: Callable[[], int],
        sleep: Sleep,
        trouble: Callable[[str], None],
    ) -> None:
        self._bus = bus
        self._store = store
        self._tokens = tokens
        self._now_ms = now_ms
        self._sleep = sleep
        self._trouble = trouble

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                said = await self._say()
            except (Unavailable, StreamFull) as error:
                self._trouble(f"timetable: {error}")
                await self._sleep(RETRY_S)
                continue
            await self._sleep(RETRY_S if said else self._until_next_s())

    async def _say(self) -> int:
        """One batch of what is due. Said twice it has the same id, and decides nothing the second time."""
        now_ms = self._now_ms()
        due = self._store.read("due", now_ms, AT_ONCE)
        if due:
            await self._bus.publish(subjects.EVENTS, [self._message(key, at_ms) for key, at_ms in due])
        return len(due)

    def _message(self, key: str, at_ms: int) -> Message:
        entity = entity_of(key)
        id_ = f"date.{self._tokens(key)}.{at_ms}"
        event = Event(id_, OURSELVES, entity, Op.DATE, "", {}, False, at_ms, act={"key": key})
        return Message(subjects.event(OURSELVES, entity, Op.DATE), encode_event(event), id_)

    def _until_next_s(self) -> float:
        ((next_ms,),) = self._store.read("next_instant")
        if next_ms is None:
            return LOOK_S
        return min(LOOK_S, max(int(next_ms) - self._now_ms(), 0) / 1000)
