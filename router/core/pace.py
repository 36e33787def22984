"""How fast a destination is told: a token bucket. Steady, and not all at once and then a rest."""

from typing import Final, NamedTuple

STEP_S: Final = 0.1
"""What comes due within this goes together: a commit for every record would cost more than it spreads."""


class Pace(NamedTuple):
    """`rate_per_s` records a second, and at most `burst` at once after a quiet time. `tokens`: how many may
    go at `at_ms`. A rate of 0 is no limit.

    >>> pace = Pace.of(10, 20, 0)
    >>> pace.room, pace.take(20).wait_s, pace.take(20).at(1_000).room
    (20, 0.1, 10)
    """

    rate_per_s: float
    burst: int
    tokens: float
    at_ms: int

    @classmethod
    def of(cls, rate_per_s: float, burst: int, now_ms: int) -> "Pace":
        """At the start all of a burst may go. `burst` 0: what a second brings, and one at least."""
        burst = burst or max(1, int(rate_per_s))
        return cls(rate_per_s, burst, float(burst), now_ms)

    def at(self, now_ms: int) -> "Pace":
        """As it is then. A clock that was put back brings nothing, and takes nothing away."""
        more = max(now_ms - self.at_ms, 0) * self.rate_per_s / 1000
        return self._replace(tokens=min(self.tokens + more, float(self.burst)), at_ms=now_ms)

    def take(self, records: int) -> "Pace":
        """So many went."""
        return self._replace(tokens=self.tokens - records)

    @property
    def room(self) -> int:
        """How many may go."""
        return int(self.tokens + 1e-9)  # a third of a second three times is one

    @property
    def wait_s(self) -> float:
        """How long until it is worth a send; 0: now."""
        worth = max(1.0, min(self.rate_per_s * STEP_S, self.burst))
        lacking = worth - self.tokens
        return lacking / self.rate_per_s if self.rate_per_s and lacking > 1e-9 else 0.0
