"""A destination to which a person lets nothing go for a time. What is for it waits, and goes afterwards."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

OPEN_END_MS: Final = 4_102_444_800_000
"""2100-01-01: the end of a pause without one, where a time has to be said."""


class Pause(NamedTuple):
    """Of one destination, since when and until when (0: until a person resumes it), by whom and why.
    `told_ms`: when people were last told that it has no end.

    >>> pause = Pause("lms", 1_000, 5_000, "ada", "upgrade")
    >>> pause.holds(4_999), pause.holds(5_000), pause._replace(until_ms=0).holds(5_000)
    (True, False, True)
    """

    system: str
    since_ms: int
    until_ms: int
    who: str
    why: str
    told_ms: int = 0

    def holds(self, now_ms: int) -> bool:
        """It is not over by itself."""
        return not self.until_ms or now_ms < self.until_ms

    def entries(self) -> dict[str, Any]:
        """As STATE has it."""
        return {name: value for name, value in self._asdict().items() if name != "told_ms"}


def pause_of(entries: Mapping[str, Any]) -> Pause | None:
    """What STATE says of a destination; None if it was resumed. Raises KeyError for what is none of ours."""
    if "resumed_ms" in entries:
        return None
    since_ms, until_ms = int(entries["since_ms"]), int(entries["until_ms"])
    return Pause(str(entries["system"]), since_ms, until_ms, str(entries["who"]), str(entries["why"]))
