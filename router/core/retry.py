"""When something that did not go is tried again, and when no more."""

from typing import Final

ATTEMPTS_MAX: Final = 12
"""Attempts of one record while others go; then it is a dead letter."""
POISON_ATTEMPTS_MAX: Final = 3
"""Of a record on which the adapter raises what it must not."""
BACKOFF_BASE_S: Final = 1.0
BACKOFF_MAX_S: Final = 300.0
ASKED_MAX_S: Final = 3_600.0
"""No system is left alone for longer, whatever it asks for: a person may have mended it."""


def backoff_s(attempt: int, jitter: float) -> float:
    """How long to wait after that many failed attempts: full jitter, `jitter` in 0..1.

    >>> [backoff_s(attempt, 1.0) for attempt in (0, 1, 2, 3, 20)]
    [1.0, 1.0, 2.0, 4.0, 300.0]
    """
    most = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** min(max(attempt - 1, 0), 30))
    return most * jitter


def wait_s(attempt: int, asked_s: float | None, jitter: float) -> float:
    """What the far end asked for (Retry-After), within limits; else by attempts.

    >>> wait_s(3, 90_000.0, 0.5), wait_s(3, 7.0, 0.5), wait_s(3, None, 0.5)
    (3600.0, 7.0, 2.0)
    """
    return min(asked_s, ASKED_MAX_S) if asked_s else backoff_s(attempt, jitter)
