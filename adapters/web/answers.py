"""What any HTTP service may say: whom to trust, when to come again, that it is down as a whole."""

import ssl
from email.utils import parsedate_to_datetime
from pathlib import Path

from bus.errors import ConfigError, Unavailable


class Down(Unavailable):
    """The service as a whole does not answer, or does not let us in: it said nothing about one record."""


def retry_after_s(text: str, now_ms: int) -> float | None:
    """A Retry-After header: seconds, or a date (RFC 9110 section 10.2.3). None: it says nothing sensible."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - now_ms / 1000)


def trust(url: str, verify: bool | Path, system: str) -> ssl.SSLContext | bool:
    """Whose certificates to take; `verify` is yes, no, or a file with the authorities. Raises ConfigError."""
    if not url.startswith("https:"):
        return False  # nothing to verify, and loading the authorities takes a while
    if isinstance(verify, bool):
        return verify
    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as error:
        raise ConfigError(f"{system}: settings.verify: {verify}: {error.strerror or error}") from None
