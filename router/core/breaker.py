"""Is it the record, or the system? While it is the system, nothing goes there but one record now and then.

closed      all goes. What fails is tried again a little later, all together.
open        after `FAILURES_MAX` failures in a row, at once where nobody was let in, or when too many records
            were rejected within a minute: nothing goes, and no attempt of a record is used up.
half-open   the time for a probe has come: one record goes. It closes the breaker, or puts the next one off.
"""

from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

FAILURES_MAX: Final = 3
WINDOW_MS: Final = 60_000
REJECTS_MAX: Final = 20
REJECTS_SHARE: Final = 0.20


class State(StrEnum):
    """What may go."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker(NamedTuple):
    """Of one destination. `failures` in a row, the first one `since_ms`; `why` the last. Nothing goes before
    `until_ms`. `by_rejects`: it is open because too much was rejected.

    >>> breaker = Breaker()
    >>> for at_ms in (1_000, 2_000, 4_000): breaker = breaker.failed(at_ms, "503", 500)
    >>> breaker.state(4_100), breaker.state(4_500), breaker.since_ms
    (<State.OPEN: 'open'>, <State.HALF_OPEN: 'half-open'>, 1000)
    """

    failures: int = 0
    since_ms: int = 0
    why: str = ""
    until_ms: int = 0
    is_open: bool = False
    by_rejects: bool = False

    def state(self, now_ms: int) -> State:
        """What may go now."""
        if not self.is_open:
            return State.CLOSED
        return State.HALF_OPEN if now_ms >= self.until_ms else State.OPEN

    def failed(self, now_ms: int, why: str, wait_ms: int, *, opens: bool = False) -> "Breaker":
        """The system as a whole did not take it. `opens`: once more would be the same."""
        failures = self.failures + 1
        is_open = self.is_open or opens or failures >= FAILURES_MAX
        since_ms = self.since_ms or now_ms
        return Breaker(failures, since_ms, why, now_ms + wait_ms, is_open, self.by_rejects and self.is_open)

    def rejected(self, now_ms: int, why: str, wait_ms: int) -> "Breaker":
        """It says no to so many records that it cannot be them."""
        return self.failed(now_ms, why, wait_ms, opens=True)._replace(by_rejects=True)


CLOSED: Final = Breaker()


class Rejects:
    """What a destination said no to within the last minute, of how many.

    What it says no to a second time, after it has taken others, is the record's own fault: that tells nothing
    of the system.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int, tuple[str, ...]]] = deque()
        self._answers = self._rejects = 0
        self._again: set[str] = set()

    def count(self, now_ms: int, answers: int, keys: Sequence[str]) -> bool:
        """So many answers came, a no to these. True: these are too many, and it is the system."""
        if self._again:
            keys = [key for key in keys if key not in self._again]
        if keys or answers:
            self._recent.append((now_ms, answers, tuple(keys)))
            self._answers += answers
            self._rejects += len(keys)
        while self._recent and now_ms - self._recent[0][0] >= WINDOW_MS:
            _, old, old_keys = self._recent.popleft()
            self._answers -= old
            self._rejects -= len(old_keys)
        return self._rejects > REJECTS_MAX and self._rejects > REJECTS_SHARE * self._answers

    def excuse(self) -> list[str]:
        """It was the system: whom it said no to, within the minute. They are counted once only."""
        found = list(dict.fromkeys(key for _, _, keys in self._recent for key in keys))
        self._again.update(found)
        self._recent.clear()
        self._answers = self._rejects = 0
        return found

    def settled(self, key: str) -> None:
        """It has its second answer."""
        self._again.discard(key)

    @property
    def any_again(self) -> bool:
        """Some may get a second answer."""
        return bool(self._again)
