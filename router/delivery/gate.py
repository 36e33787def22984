"""Whether work may go to a destination now, as people say."""

import math

from router.delivery.pauses import Pauses


class Gate:
    """Of one destination."""

    def __init__(self, system: str, pauses: Pauses) -> None:
        self._system = system
        self._pauses = pauses

    def shut_s(self, now_ms: int) -> float:
        """For how long nothing may go; 0: it may. Infinite: until a person says so."""
        pause = self._pauses.of(self._system)
        if pause is None:
            return 0.0
        return (pause.until_ms - now_ms) / 1000 if pause.until_ms else math.inf
