"""What it means for the service as a whole when it does not answer, or answers with no success."""

from collections.abc import Callable
from typing import Final

from adapters.scim.wire import Answer, Lost
from adapters.web.answers import Down, retry_after_s
from bus.errors import Unavailable

_SYSTEM_WIDE: Final = frozenset({429, 503})
"""Statuses that say nothing about one account: the rest of the batch is not tried."""


class Meaning:
    """Of one service; `where` is its name in messages."""

    def __init__(self, where: str, now_ms: Callable[[], int]) -> None:
        self._where = where
        self._now_ms = now_ms

    def unavailable(self, error: Answer | Lost) -> Unavailable:
        """What to raise for it."""
        if isinstance(error, Lost):
            result: Unavailable = Down(
                f"{self._where}: no answer ({error}). Is the service up?", runbook="scim-unavailable"
            )
        elif error.status in (401, 403):
            what = f"{self._where}: {error.status}: the token was refused"
            result = Down(what, runbook="token-refused")
        else:
            kind = Down if error.status in _SYSTEM_WIDE else Unavailable
            result = kind(
                f"{self._where}: {error.status} (a success expected). See the service's own log",
                retry_after_s=retry_after_s(error.retry_after, self._now_ms()),
                runbook="scim-unavailable",
            )
        result.__cause__ = error
        return result
