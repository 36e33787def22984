"""Windows and cron lines, on plain days and on the two nights when clocks are moved."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.schedule import Standing, Window, cron_of, instants, standing, window_of

ZONE = ZoneInfo("America/New_York")
"""2026-03-08: 02:00 is 03:00. 2026-11-01: 02:00 is 01:00 again."""
DAYTIME = (Window(5 * 60, 23 * 60),)
NIGHT = (Window(22 * 60, 5 * 60 + 30),)
SMALL_HOURS = (Window(2 * 60 + 30, 4 * 60),)


def ms(text: str) -> int:
    """An instant: a local time, with its offset where it comes twice."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=ZONE)).timestamp() * 1000)


def shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, ZONE).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("windows", "now", "is_open", "until"),
    [
        (DAYTIME, "2026-11-25T04:59:59", False, "2026-11-25T05:00-05:00"),
        (DAYTIME, "2026-11-25T05:00", True, "2026-11-25T23:00-05:00"),
        (DAYTIME, "2026-11-25T22:59", True, "2026-11-25T23:00-05:00"),
        (DAYTIME, "2026-11-25T23:00", False, "2026-11-26T05:00-05:00"),
        (NIGHT, "2026-11-25T23:00", True, "2026-11-26T05:30-05:00"),
        (NIGHT, "2026-11-26T00:30", True, "2026-11-26T05:30-05:00"),
        (NIGHT, "2026-11-26T05:30", False, "2026-11-26T22:00-05:00"),
        ((*NIGHT, Window(330, 360)), "2026-11-26T00:30", True, "2026-11-26T06:00-05:00"),
        ((Window(720, 780), *DAYTIME), "2026-11-26T12:30", True, "2026-11-26T23:00-05:00"),
        # Spring: half past two is leapt over, and comes at the leap; a window after it is an hour nearer.
        (SMALL_HOURS, "2026-03-08T01:59", False, "2026-03-08T03:00-04:00"),
        (SMALL_HOURS, "2026-03-08T03:00", True, "2026-03-08T04:00-04:00"),
        ((Window(60, 150),), "2026-03-08T01:30", True, "2026-03-08T03:00-04:00"),
        ((Window(130, 150),), "2026-03-08T01:30", False, "2026-03-09T02:10-04:00"),
        (DAYTIME, "2026-03-08T00:00", False, "2026-03-08T05:00-04:00"),
        (NIGHT, "2026-03-08T00:00", True, "2026-03-08T05:30-04:00"),
        # Autumn: from the first time that the clock shows its beginning to the last that it shows its end.
        ((Window(90, 240),), "2026-11-01T01:29-04:00", False, "2026-11-01T01:30-04:00"),
        ((Window(90, 240),), "2026-11-01T01:10-05:00", True, "2026-11-01T04:00-05:00"),
        ((Window(1320, 90),), "2026-11-01T01:40-04:00", True, "2026-11-01T01:30-05:00"),
        ((Window(1320, 90),), "2026-11-01T01:30-05:00", False, "2026-11-01T22:00-05:00"),
        (NIGHT, "2026-11-01T00:00", True, "2026-11-01T05:30-05:00"),
    ],
)
def test_a_window_is_open_between_its_times(
    windows: tuple[Window, ...], now: str, is_open: bool, until: str
) -> None:
    found = standing(windows, ZONE, ms(now))

    assert (found.is_open, shown(found.until_ms)) == (is_open, until)


def test_windows_that_cover_the_day_are_always_open() -> None:
    windows = (window_of("00:00-12:00"), window_of("12:00-24:00"))

    assert all(standing(windows, ZONE, ms(f"2026-11-0{day}T11:59")).is_open for day in range(1, 9))


minutes = st.integers(0, 24 * 60 - 1)
a_window = st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Window(*pair))


@given(
    windows=st.lists(a_window, min_size=1, max_size=3).map(tuple),
    at_ms=st.integers(ms("2026-10-30T00:00"), ms("2026-11-03T00:00")),
)
def test_it_stays_as_it_is_until_the_time_that_it_says(windows: tuple[Window, ...], at_ms: int) -> None:
    now = standing(windows, ZONE, at_ms)
    middle = standing(windows, ZONE, (at_ms + now.until_ms) // 2)

    assert now.until_ms > at_ms
    assert middle.is_open == now.is_open and middle.until_ms >= now.until_ms
    assert now.is_open or standing(windows, ZONE, now.until_ms).is_open
    clock = datetime.fromtimestamp(at_ms / 1000, ZONE)
    minute = clock.hour * 60 + clock.minute
    if any(
        begins <= minute < ends or (ends < begins and not ends <= minute < begins) for begins, ends in windows
    ):
        assert now.is_open


@pytest.mark.parametrize(
    ("cron", "now", "latest", "following"),
    [
        ("0 5 * * *", "2026-11-25T04:59:59", "2026-11-24T05:00-05:00", "2026-11-25T05:00-05:00"),
        ("0 5 * * *", "2026-11-25T05:00:00", "2026-11-25T05:00-05:00", "2026-11-26T05:00-05:00"),
        ("*/15 * * * *", "2026-11-25T05:16:30", "2026-11-25T05:15-05:00", "2026-11-25T05:30-05:00"),
        ("0 6 * * mon-fri", "2026-11-29T12:00", "2026-11-27T06:00-05:00", "2026-11-30T06:00-05:00"),
        ("0 0 29 2 *", "2026-03-01T00:00", "2024-02-29T00:00-05:00", "2028-02-29T00:00-05:00"),
        # Spring: what is leapt over comes at the leap.
        ("30 2 * * *", "2026-03-08T01:59", "2026-03-07T02:30-05:00", "2026-03-08T03:00-04:00"),
        ("30 2 * * *", "2026-03-08T03:30", "2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"),
        ("*/30 * * * *", "2026-03-08T01:45", "2026-03-08T01:30-05:00", "2026-03-08T03:00-04:00"),
        # Autumn: a time that comes twice is meant once; every half hour is every half hour.
        ("30 1 * * *", "2026-11-01T01:29-04:00", "2026-10-31T01:30-04:00", "2026-11-01T01:30-04:00"),
        ("30 1 * * *", "2026-11-01T01:10-05:00", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"),
        ("30 1 * * *", "2026-11-01T01:30-05:00", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"),
        ("*/30 * * * *", "2026-11-01T01:31-04:00", "2026-11-01T01:30-04:00", "2026-11-01T01:00-05:00"),
    ],
)
def test_the_instants_around_a_time(cron: str, now: str, latest: str, following: str) -> None:
    assert tuple(map(shown, instants(cron, ZONE, ms(now)))) == (latest, following)


@given(
    cron=st.sampled_from(("0 5 * * *", "30 2 * * *", "30 1 * * *", "*/20 * * * *", "0 1,2 * * *")),
    at_ms=st.one_of(
        st.integers(ms("2026-03-07T00:00"), ms("2026-03-09T00:00")),
        st.integers(ms("2026-10-31T00:00"), ms("2026-11-02T00:00")),
    ),
)
def test_one_instant_follows_on_another(cron: str, at_ms: int) -> None:
    latest_ms, next_ms = instants(cron, ZONE, at_ms)

    assert latest_ms <= at_ms < next_ms
    assert instants(cron, ZONE, next_ms)[0] == next_ms
    assert instants(cron, ZONE, next_ms - 1) == (latest_ms, next_ms)
    assert instants(cron, ZONE, latest_ms) == (latest_ms, next_ms)


@pytest.mark.parametrize("text", ["5:00-23:00", "05:00", "05:00-24:01", "25:00-26:00", "05:00-05:00", ""])
def test_what_is_no_window_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match="window"):
        window_of(text)


@pytest.mark.parametrize("text", ["", "5", "0 5 * *", "0 5 30 2 *", "0 0 5 * * *", "a b c d e"])
def test_what_is_no_cron_line_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"no cron line|never comes"):
        cron_of(text)


def test_a_standing_says_both() -> None:
    until = datetime(2026, 11, 25, 23, tzinfo=ZONE)
    found = standing(DAYTIME, ZONE, int((until - timedelta(hours=1)).timestamp() * 1000))

    assert found == Standing(True, int(until.timestamp() * 1000))
