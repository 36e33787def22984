"""When a destination may be told: windows of the day, instants of a cron line, in the district's time."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

FOREVER_MS: Final = 1 << 62
"""Later than all times."""
_WINDOW: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)


class Window(NamedTuple):
    """A part of each day, in minutes from midnight by the wall clock; one that `ends` before it `begins` ends
    on the next day.
    """

    begins: int
    ends: int


class Schedule(NamedTuple):
    """Of one destination. No windows: at any time. No `cron`: each record as soon as it is ready."""

    windows: tuple[Window, ...] = ()
    cron: str = ""


ALWAYS: Final = Schedule()


class Standing(NamedTuple):
    """Whether a window is open, and until when that stays so at least."""

    is_open: bool
    until_ms: int


def window_of(text: str) -> Window:
    """A window as a person writes it. Raises ValueError.

    >>> window_of("22:00-05:30")
    Window(begins=1320, ends=330)
    """
    found = _WINDOW.fullmatch(text.strip())
    if not found:
        raise ValueError("no window (expected two times of the day, as in 05:00-23:00)")
    begins, ends = int(found[1]) * 60 + int(found[2]), 24 * 60
    if found[3]:
        ends = int(found[3]) * 60 + int(found[4])
    if begins == ends:
        raise ValueError("a window that ends where it begins (expected none for the whole day)")
    return Window(begins, ends)


def cron_of(text: str) -> str:
    """A cron line of five fields. Raises ValueError."""
    expected = "expected minute, hour, day, month, day of the week, as in 0 5 * * *"
    if len(text.split()) != 5:
        raise ValueError(f"no cron line ({expected})")
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"no cron line: {str(error).lower()} ({expected})") from None
    except StopIteration:
        raise ValueError("a time that never comes") from None
    return text


def standing(windows: tuple[Window, ...], zone: ZoneInfo, now_ms: int) -> Standing:
    """Is a window open?

    On the nights when clocks are put back or forward a window is open as long as its times may say: from the
    first time that the clock shows its beginning to the last that it shows its end; what the clock leaps over
    comes at the leap.
    """
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    spans = sorted(
        _span(window, today + timedelta(days), zone) for days in (-1, 0, 1, 2) for window in windows
    )
    until_ms = now_ms
    for begins_ms, ends_ms in spans:
        if begins_ms <= until_ms < ends_ms:
            until_ms = ends_ms
    if until_ms > now_ms:
        return Standing(True, until_ms)
    return Standing(False, min(begins_ms for begins_ms, ends_ms in spans if now_ms < begins_ms < ends_ms))


def _span(window: Window, day: date, zone: ZoneInfo) -> tuple[int, int]:
    last = day if window.ends > window.begins else day + timedelta(1)
    return _instant_ms(day, window.begins, zone, late=False), _instant_ms(last, window.ends, zone, late=True)


def _instant_ms(day: date, minute: int, zone: ZoneInfo, *, late: bool) -> int:
    """When the clock shows that. Of an hour that comes twice the first time, or the last (`late`)."""
    shown = datetime.combine(day, time()) + timedelta(minutes=minute)
    first, last = (int(shown.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    if first <= last:
        return (last if late else first) * 1000
    return _leap_s(zone, last, first) * 1000  # the clock never shows it


def _leap_s(zone: ZoneInfo, before: int, after: int) -> int:
    """The second at which the clock leaps, between these two."""
    then = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == then:
            before = middle
        else:
            after = middle
    return after


def instants(cron: str, zone: ZoneInfo, now_ms: int) -> tuple[int, int]:
    """The latest instant of a cron line, now at most, and the next one. When clocks are moved, a time that
    comes twice is meant once, and one that the clock leaps over comes at the leap (as Debian's cron has it).

    >>> zone, noon_ms = ZoneInfo("America/Chicago"), 1_795_456_800_000  # 2026-11-23 12:00 there
    >>> [(each - noon_ms) / 3_600_000 for each in instants("0 5 * * *", zone, noon_ms)]
    [-7.0, 17.0]
    """
    latest_ms = _ms(next(CronSim(cron, _at(now_ms + 1000, zone), reverse=True)))
    # Backward it passes over a time that comes twice, while the clock shows what is before it once more.
    for each in CronSim(cron, _at(latest_ms, zone)):
        if (each_ms := _ms(each)) > now_ms:
            return latest_ms, each_ms
        latest_ms = each_ms
    return latest_ms, FOREVER_MS  # it does not come again within fifty years


def _at(at_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, zone)


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000
