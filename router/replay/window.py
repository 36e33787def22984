"""From what a person writes to a window of time: [from, until), in milliseconds since 1970 UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bus.durations import seconds
from bus.errors import BusError


def moment_ms(text: str, zone: ZoneInfo, *, late: bool) -> int:
    """An instant as in 2026-11-20T02:00. Without an offset it is the district's time; of an hour that comes
    twice the first one, or (`late`) the second. Raises BusError.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BusError(f"{text!r}: no time (expected one as in 2026-11-20T02:00)") from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone, fold=int(late))
    return int(at.timestamp() * 1000)


def window(says: Mapping[str, Any], zone: ZoneInfo, now_ms: int) -> tuple[int, int]:
    """The window that a request asks for, with `since` (as in 48h) or `from` and `until`. Raises BusError."""
    since, first, last = (str(says.get(name, "")) for name in ("since", "from", "until"))
    if bool(since) == bool(first):
        raise BusError("replay: which window? (expected --since 48h, or --from and --until)")
    if since:
        try:
            from_ms = now_ms - int(seconds(since) * 1000)
        except ValueError as error:
            raise BusError(f"since: {since!r} is {error}") from None
    else:
        from_ms = moment_ms(first, zone, late=False)
    until_ms = min(moment_ms(last, zone, late=True), now_ms) if last else now_ms
    if from_ms >= until_ms:
        raise BusError("replay: the window is empty: it begins at its end, or later, or has yet to come")
    return from_ms, until_ms
