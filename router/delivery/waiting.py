"""Tells a person of a destination where records wait for others longer than `waits_at_most`."""

from collections.abc import Callable, Mapping

from router.alerts import Seldom, alert_message
from router.outbox import Outbox
from router.store import Store


class Waiting:
    """Looks at all work lists. `most_s`: by destination how long a record may wait."""

    def __init__(
        self, store: Store, outbox: Outbox, most_s: Mapping[str, float], now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._most_s = most_s
        self._now_ms = now_ms
        self._seldom = Seldom()

    async def look(self) -> None:
        """One alert for each destination and hour, with how many wait and why the first does."""
        now_ms, messages = self._now_ms(), []
        for system, most_s in self._most_s.items():
            before_ms = now_ms - int(most_s * 1000)
            count, _, reason = self._store.read("waited", system, before_ms)[0]
            if count and self._seldom.due(system, now_ms):
                hours = most_s / 3600
                text = (
                    f"{system}: {count} records have waited for others for more than {hours:g} h; the first"
                    f" {reason}. Nothing is lost: they go when that is there. See: yellowbus explain"
                )
                messages.append(alert_message("waiting-too-long", system, str(now_ms), now_ms, text))
        if messages:
            letters = self._outbox.put(messages)
            await self._store.commit(letters.writes)
            letters.send()
