"""How often a refused write was set right: a record that comes back wrong again and again is let be."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from router.core.rules import District

HOUR_MS: Final = 3_600_000
RECORDS_MAX: Final = 10_000
TIDY_MS: Final = 60_000


class Restores:
    """Counts by system and record, within the hour. In memory: a restart begins anew."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], deque[int]] = {}
        self._tidied_ms = 0

    def allows(self, system: str, key: str, most: int, now_ms: int) -> bool:
        """True if the record may be set right once more; then it counts."""
        times = self._times.setdefault((system, key), deque())
        while times and now_ms - times[0] >= HOUR_MS:
            times.popleft()
        if len(times) >= most:
            return False
        times.append(now_ms)
        if len(self._times) > RECORDS_MAX and now_ms - self._tidied_ms >= TIDY_MS:
            # Only what has been quiet: one that goes on must not begin anew because many do.
            self._tidied_ms = now_ms
            quiet = [name for name, each in self._times.items() if now_ms - each[-1] >= HOUR_MS]
            for name in quiet:
                del self._times[name]
        return True


def limits(district: District) -> Mapping[str, int]:
    """Restores per hour and record, by destination."""
    return {
        name: system.destination.restores_per_hour
        for name, system in district.systems.items()
        if system.destination
    }
