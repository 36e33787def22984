"""Whether a request may be believed: HMAC-SHA256 over its time and its raw body. Pure."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

TIMESTAMP: Final = "X-Yellowbus-Timestamp"
SIGNATURE: Final = "X-Yellowbus-Signature"

_SECONDS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)


class NotSigned(Exception):
    """It may be from anybody. The text tells the sender's people what is wrong with it."""


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature header's value.

    >>> sign(b"k", "1795532645", b"{}")[:15]
    'sha256=b1b459b8'
    """
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def check_time(headers: Mapping[str, str], now_ms: int, window_s: float) -> str:
    """The request's timestamp, if there is one and it is of now. Raises NotSigned."""
    for name in (TIMESTAMP, SIGNATURE):
        if not headers.get(name):
            raise NotSigned(f"the header {name} is missing")
    timestamp = headers[TIMESTAMP].strip()
    if not _SECONDS.fullmatch(timestamp):
        raise NotSigned(f"{TIMESTAMP} is no time (seconds since 1970 UTC expected)")
    if abs(now_ms / 1000 - float(timestamp)) > window_s:
        raise NotSigned(f"{TIMESTAMP} is more than {window_s:g} s from our clock")
    return timestamp


def check_signature(secret: bytes, headers: Mapping[str, str], timestamp: str, body: bytes) -> None:
    """See that who wrote this knows the secret, in constant time. Raises NotSigned."""
    given = headers[SIGNATURE].strip().lower().encode("utf-8", "replace")
    if not hmac.compare_digest(given, sign(secret, timestamp, body).encode()):
        raise NotSigned(f"{SIGNATURE} is not that of this body (sha256=<hex> over timestamp.body expected)")
