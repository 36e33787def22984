"""Whether work may go to a destination now, as people and its file (`schedule:`) say."""

import math
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bus.messages import Outcome
from router.core.schedule import FOREVER_MS, Schedule, Standing, instants, standing
from router.delivery.pauses import Pauses


class Shut(NamedTuple):
    """Nothing goes: what the work counts as, why, since when (0: not said), until when (0: open)."""

    state: Outcome
    why: str
    since_ms: int
    until_ms: int


class Gate:
    """Of one destination."""

    def __init__(self, system: str, pauses: Pauses, schedule: Schedule, zone: ZoneInfo) -> None:
        self._system = system
        self._pauses = pauses
        self._schedule = schedule
        self._zone = zone
        self._standing = (0, Standing(True, 0))
        self._instants = (0, 0)
        self._rests_until_ms = 0

    @property
    def at_instants(self) -> bool:
        """What comes waits for the next of its times, and goes then all together."""
        return bool(self._schedule.cron)

    def shut(self, now_ms: int) -> Shut | None:
        """Why nothing may go, whatever waits; None: it may."""
        if pause := self._pauses.of(self._system):
            why = f"paused by {pause.who}: {pause.why}"
            return Shut(Outcome.PAUSED, why, pause.since_ms, pause.until_ms)
        if self._schedule.windows:
            window = self._window(now_ms)
            if not window.is_open:
                return Shut(Outcome.WAITING, "it is outside its window", 0, window.until_ms)
        return None

    def shut_s(self, now_ms: int) -> float:
        """For how long nothing may go; 0: it may. Infinite: until a person says so."""
        if shut := self.shut(now_ms):
            return (shut.until_ms - now_ms) / 1000 if shut.until_ms else math.inf
        return max(self._rests_until_ms - now_ms, 0) / 1000

    def upto_ms(self, now_ms: int) -> int:
        """What is on the work list since then, or longer, may go."""
        return self._around(now_ms)[0] if self._schedule.cron else FOREVER_MS

    def next_ms(self, now_ms: int) -> int:
        """When the list goes next, if that is at its own times; else 0."""
        return self._around(now_ms)[1] if self._schedule.cron else 0

    def drained(self, now_ms: int, due_ms: int | None) -> int | None:
        """Nothing is left that may go, and the first that was postponed is due then. When to look again."""
        if not self._schedule.cron:
            return due_ms
        next_ms = self._around(now_ms)[1]
        self._rests_until_ms = next_ms if due_ms is None else min(due_ms, next_ms)
        return self._rests_until_ms

    def looks_again(self) -> None:
        """What waited for others may go now, though the list was through."""
        self._rests_until_ms = 0

    def _window(self, now_ms: int) -> Standing:
        since_ms, found = self._standing
        if not since_ms <= now_ms < found.until_ms:
            found = standing(self._schedule.windows, self._zone, now_ms)
            self._standing = (now_ms, found)
        return found

    def _around(self, now_ms: int) -> tuple[int, int]:
        latest_ms, next_ms = self._instants
        if not latest_ms <= now_ms < next_ms:
            self._instants = instants(self._schedule.cron, self._zone, now_ms)
        return self._instants
