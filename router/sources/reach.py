"""Whether a source can be reached: said when it stops, and shown until it is well again."""

import contextlib
from collections.abc import Callable

from bus.errors import StreamFull, Unavailable
from router.alerts import alert_message, sentence
from router.outbox import Outbox


class Reach:
    """Of one source. `unreachable` says why not; '' : it can be reached."""

    def __init__(
        self, system: str, outbox: Outbox, now_ms: Callable[[], int], trouble: Callable[[str], None]
    ) -> None:
        self._system = system
        self._outbox = outbox
        self._now_ms = now_ms
        self._trouble = trouble
        self.unreachable = ""

    def well(self) -> None:
        """It answered, or its news was taken."""
        self.unreachable = ""

    async def lost(self, error: Unavailable | StreamFull, *, kept: str) -> None:
        """It did not, or was not: log it, and alert at the first time. `kept`: what became of its news."""
        self._trouble(str(error))
        first, self.unreachable = not self.unreachable, error.message
        if first:
            now_ms = self._now_ms()
            kind = error.runbook if error.runbook == "token-refused" else "source-unreachable"
            message = alert_message(
                kind, self._system, str(now_ms), now_ms, f"{sentence(error.message)} {kept}"
            )
            with contextlib.suppress(Unavailable):  # no disk, no alert: the log has it
                await self._outbox.leave([message])
