"""A destination that takes nothing: the breaker opens, one alert says so, everything waits, and comes back.

What was rejected within the minute before it opened for too many rejects goes on the work list again: that
was the system's fault. A second no is the record's own.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from bus.adapter import Receipt
from bus.errors import Unavailable
from bus.messages import Outcome
from bus.port import Message
from router.alerts import KINDS, Seldom, alert_message, sentence
from router.core.breaker import CLOSED, Rejects, State
from router.core.retry import wait_s

SHUT_OUT: Final = "token-refused"
"""The reason code of a system that does not let us in: the next try would end the same."""
UNREACHABLE: Final = "destination-unreachable"
REJECTING: Final = "rejecting"
OVER: Final = "destination-back"
ROTATE_S: Final = 1.0
"""A probe that failed lets another record be the next one, in case that it was the record."""


class Judged(NamedTuple):
    """What receipts mean after all, whom to put on the work list again, why, and what to tell."""

    receipts: Mapping[str, Receipt]
    again: list[str]
    put: str
    told: list[Message]


class Outage:
    """Of one destination."""

    def __init__(self, system: str, jitter: Callable[[], float]) -> None:
        self._system = system
        self._jitter = jitter
        self._seldom = Seldom()
        self._rejects = Rejects()
        self._kind = ""  # of the alert of this outage, once it is told
        self.breaker = CLOSED

    def failed(self, error: Unavailable, now_ms: int) -> tuple[float, list[Message]]:
        """The system does not answer. In how many seconds to try again, and what to tell."""
        later_s = wait_s(self.breaker.failures + 1, error.retry_after_s, self._jitter())
        opens = error.runbook == SHUT_OUT
        self.breaker = self.breaker.failed(now_ms, error.message, int(later_s * 1000), opens=opens)
        kind = error.runbook if error.runbook in KINDS else UNREACHABLE
        return later_s, self._alert(kind, error.message, now_ms)

    def answered(self, receipts: Mapping[str, Receipt], now_ms: int) -> Judged:
        """The system answered: for each record, or to say that it was the turn of none."""
        found = receipts.values()
        if found and all([each.outcome is Outcome.RETRYING and not each.tried for each in found]):
            first = next(iter(found))
            _, told = self.failed(Unavailable(first.reason, retry_after_s=first.retry_after_s), now_ms)
            return Judged(receipts, [], "", told)
        rejected = [each.key for each in found if each.outcome is Outcome.FAILED]
        too_many = self._rejects.count(now_ms, len(receipts), rejected)
        if rejected and (too_many or self.breaker.by_rejects):
            return self._rejected(receipts, rejected, now_ms)
        return self._closes(receipts, now_ms)

    def _rejected(self, receipts: Mapping[str, Receipt], keys: list[str], now_ms: int) -> Judged:
        """Too many: none of them is settled by it."""
        before = self.breaker
        later_s = wait_s(before.failures + 1, None, self._jitter())
        more = self._rejects.excuse()
        why = f"{self._system}: it rejects too much ({receipts[keys[0]].reason})"
        if not before.by_rejects:
            why = f"{self._system}: {len(more)} records rejected within a minute ({receipts[keys[0]].reason})"
        self.breaker = before.rejected(now_ms, why, int(later_s * 1000))
        late_s = later_s + ROTATE_S
        put_off = {
            key: receipts[key]._replace(outcome=Outcome.RETRYING, retry_after_s=late_s, tried=False)
            for key in keys
        }
        again = [key for key in more if key not in put_off]
        told = self._alert(REJECTING, why, now_ms)
        return Judged({**receipts, **put_off}, again, f"breaker.{self.breaker.since_ms}", told)

    def _closes(self, receipts: Mapping[str, Receipt], now_ms: int) -> Judged:
        if self._rejects.any_again:
            for key in receipts:
                self._rejects.settled(key)
        if self.breaker is CLOSED:
            return Judged(receipts, [], "", [])
        over, self.breaker, told = self.breaker, CLOSED, list[Message]()
        if self._kind:
            minutes = (now_ms - over.since_ms) / 60_000
            text = (
                f"{self._system}: it answers again, after {minutes:.0f} minutes. What waited is on its way."
            )
            told.append(alert_message(OVER, self._system, str(over.since_ms), now_ms, text))
        self._kind = ""
        return Judged(receipts, [], "", told)

    def _alert(self, kind: str, why: str, now_ms: int) -> list[Message]:
        """Once for an outage; and of one that comes and goes, once an hour."""
        if not self.breaker.is_open or self._kind or not self._seldom.due(kind, now_ms):
            return []
        self._kind = kind
        text = f"{sentence(why)} Nothing is lost: its records wait, and go when it takes them."
        return [alert_message(kind, self._system, str(now_ms), now_ms, text)]

    def lost(self) -> None:
        """What was told did not reach our own disk: it is told again."""
        self._seldom, self._kind = Seldom(), ""

    def state(self, now_ms: int) -> State:
        """What may go there now."""
        return self.breaker.state(now_ms)
