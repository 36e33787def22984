"""Alerts of one cause: the first at once, what follows within the hour with its count, once.

How many followed stands in the index, in the commit of what they tell of: a restart forgets none. The count
is said with the next alert of the cause, or when the hour ends.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from bus.port import Message
from router.alerts import HOUR_MS, alert_message
from router.database import Write
from router.outbox import Outbox
from router.store import Store

AT_ONCE: Final = 200


class Cause(NamedTuple):
    """An alert that was told, and how many followed since."""

    name: str
    kind: str
    system: str
    begun_ms: int
    more: int
    text: str


class Hourly:
    """What one commit tells. `messages` and `writes` go into it."""

    def __init__(self, store: Store, now_ms: int) -> None:
        self._store = store
        self._now_ms = now_ms
        self._causes: dict[str, Cause | None] = {}
        self.messages: list[Message] = []

    def tell(self, kind: str, system: str, cause: str, id_: str, text: str) -> None:
        """Tell it, or count it if this cause was told within the hour."""
        name = f"{kind}/{system}/{cause}"
        if name not in self._causes:
            self._causes[name] = next((Cause(*row) for row in self._store.read("hourly", name)), None)
        before = self._causes[name]
        if before is not None and self._now_ms - before.begun_ms < HOUR_MS:
            self._causes[name] = before._replace(more=before.more + 1)
            return
        told = text
        if before is not None and before.more:
            told += f" {before.more} more since the last alert of it."
        self.messages.append(alert_message(kind, system, id_, self._now_ms, told))
        self._causes[name] = Cause(name, kind, system, self._now_ms, 0, text)

    @property
    def writes(self) -> list[Write]:
        """What was told, and how often since."""
        return [self._store.write("save_hourly", [tuple(each) for each in self._causes.values() if each])]


class HourlyEnds:
    """Says how many followed, when the hour of a cause has ended."""

    def __init__(self, store: Store, outbox: Outbox, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._outbox = outbox
        self._now_ms = now_ms

    async def look(self) -> None:
        """Tell and forget what has ended. Told and forgotten is one commit."""
        now_ms = self._now_ms()
        ended = [Cause(*row) for row in self._store.read("hourly_ended", now_ms - HOUR_MS, AT_ONCE)]
        if not ended:
            return
        letters = self._outbox.put(
            [
                alert_message(each.kind, each.system, f"{each.begun_ms}/{number}", now_ms, _ended(each))
                for number, each in enumerate(ended)
                if each.more
            ]
        )
        gone = [(each.name, each.more) for each in ended]
        await self._store.commit([self._store.write("forget_hourly", gone), *letters.writes])
        letters.send()


def _ended(cause: Cause) -> str:
    return f"{cause.more} more within the hour after: {cause.text}"
