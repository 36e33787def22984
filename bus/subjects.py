"""Every stream, subject and consumer name, built and parsed here and nowhere else.

Subjects show up in logs and listings, so no name, number or address stands in one: a record is a token,
a short keyed hash of its entity and key.
"""

import hashlib
from functools import lru_cache
from typing import Final

EVENTS: Final = "EVENTS"
CHANGES: Final = "CHANGES"
STATE: Final = "STATE"
AUDIT: Final = "AUDIT"
DEAD: Final = "DEAD"
ALERTS: Final = "ALERTS"

INTAKE: Final = "intake"
"""The durable consumer of EVENTS. A destination's durable on CHANGES is named after the system."""

_STREAM_BY_PREFIX: Final = {
    "event": EVENTS,
    "change": CHANGES,
    "state": STATE,
    "audit": AUDIT,
    "dead": DEAD,
    "alert": ALERTS,
}

TOKEN_BYTES: Final = 10
TOKENS_AT_HAND: Final = 8192

_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [first + second for first in _BASE32 for second in _BASE32]


class Tokens:
    """The tokens of one district: `token("student/1001")` is the same for ever, and tells nothing.

    >>> Tokens(b"k")("student/1001")
    'nwgcat2t5k2vpxrv'
    """

    def __init__(self, key: bytes) -> None:
        self._hash = hashlib.blake2b(key=key[: hashlib.blake2b.MAX_KEY_SIZE], digest_size=TOKEN_BYTES)
        self._token = lru_cache(TOKENS_AT_HAND)(self._make)

    def __call__(self, key: str) -> str:
        return self._token(key)

    def _make(self, key: str) -> str:
        digest = self._hash.copy()
        digest.update(key.encode())
        number, pairs = int.from_bytes(digest.digest()), _PAIRS
        # Base32 (RFC 4648, lower case) ten bits at a time: the library's takes three times as long.
        return "".join([pairs[(number >> shift) & 1023] for shift in range(70, -1, -10)])


def stream_of(subject: str) -> str:
    """The stream that stores a subject.

    >>> stream_of("audit.event.accepted.sis.student")
    'AUDIT'
    """
    return _STREAM_BY_PREFIX[subject.partition(".")[0]]


def event(system: str, entity: str, op: str) -> str:
    return f"event.{system}.{entity}.{op}"


def change(entity: str, token: str) -> str:
    return f"change.{entity}.{token}"


def changes_of(entity: str) -> str:
    """All changes of an entity: a destination's filter."""
    return f"change.{entity}.*"


def state(kind: str, system: str, entity: str, token: str) -> str:
    return f"state.{kind}.{system}.{entity}.{token}"


def audit(step: str, outcome: str, system: str, entity: str) -> str:
    return f"audit.{step}.{outcome}.{system}.{entity or '-'}"


def dead(system: str, entity: str) -> str:
    return f"dead.{system}.{entity}"


def alert(severity: str, kind: str, system: str) -> str:
    return f"alert.{severity}.{kind}.{system}"


def command(operator: str, what: str) -> str:
    """The subject of a command or query: the server lets each operator use only its own name."""
    return f"cmd.{operator}.{what}"
