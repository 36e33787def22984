"""What an answer means: for one record, or for the system as a whole."""

from collections.abc import Callable
from typing import Final

from adapters.http.bodies import named_in
from adapters.http.wire import Answer, Lost
from adapters.web.answers import Down, retry_after_s
from bus.adapter import Delivery, Receipt
from bus.errors import Unavailable
from bus.messages import Outcome

GONE: Final = frozenset({404, 410})
LOOK_AGAIN: Final = frozenset({404, 409, 410, 412})
"""The record was not as it seemed."""
BAD: Final = frozenset({400, 409, 413, 422})
"""The system says no to this record, and will again."""
IN_THE_WAY: Final = "409: another record there is in its way"

_SYSTEM_WIDE: Final = frozenset({429, 503})


class Meaning:
    """Of the answers of one system; `where` names it."""

    def __init__(self, where: str, now_ms: Callable[[], int]) -> None:
        self._where = where
        self._now_ms = now_ms

    def of(self, delivery: Delivery, answer: Answer) -> Receipt:
        """What an answer that is no success means for a record. Raises Unavailable if it is not about it."""
        status = answer.status
        if status in GONE:
            reason = f"{status}: nothing is there. See the table's paths in the settings"
            return Receipt(delivery.key, Outcome.RETRYING, reason, delivery.local_id)
        if status == 412:
            reason = "412: somebody else keeps changing this record"
            return Receipt(delivery.key, Outcome.RETRYING, reason, delivery.local_id)
        if status in BAD:
            what = IN_THE_WAY if status == 409 else f"{status}"
            names = named_in(answer.text, delivery.fields)
            reason = f"{what}: {', '.join(names)}" if names else what
            return Receipt(delivery.key, Outcome.FAILED, reason, delivery.local_id)
        raise self.unavailable(answer)

    def unavailable(self, answer: Answer) -> Unavailable:
        """Why a system that answers does not take what it is told."""
        status = answer.status
        if status in (401, 403):
            return Down(f"{self._where}: {status}: the token was refused", runbook="token-refused")
        kind = Down if status in _SYSTEM_WIDE else Unavailable
        return kind(
            f"{self._where}: {status} (a success expected). See the system's own log",
            retry_after_s=retry_after_s(answer.retry_after, self._now_ms()),
            runbook="http-unavailable",
        )

    def lost(self, lost: Lost) -> Unavailable:
        """Why there is no answer."""
        what = f"{self._where}: no answer ({lost}). Is the system up?"
        return Down(what, runbook="http-unavailable")
