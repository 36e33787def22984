"""What a person writes as a window of time, and which milliseconds that is."""

from zoneinfo import ZoneInfo

import pytest

from bus.errors import BusError
from router.replay.window import moment_ms, window

CHICAGO = ZoneInfo("America/Chicago")
NOON_MS = 1_795_456_800_000  # 2026-11-23 12:00 in Chicago
HOUR_MS = 3_600_000


def test_a_time_without_an_offset_is_the_districts() -> None:
    assert moment_ms("2026-11-23T12:00", CHICAGO, late=False) == NOON_MS
    assert moment_ms("2026-11-23T12:00+00:00", CHICAGO, late=False) == NOON_MS - 6 * HOUR_MS
    assert moment_ms("2026-11-23", CHICAGO, late=False) == NOON_MS - 12 * HOUR_MS


def test_of_an_hour_that_comes_twice_a_window_has_both() -> None:
    first, last = (moment_ms("2026-11-01T01:30", CHICAGO, late=late) for late in (False, True))

    assert last - first == HOUR_MS


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ({"since": "48h"}, (NOON_MS - 48 * HOUR_MS, NOON_MS)),
        ({"from": "2026-11-23T02:00"}, (NOON_MS - 10 * HOUR_MS, NOON_MS)),
        (
            {"from": "2026-11-23", "until": "2026-11-23T09:00"},
            (NOON_MS - 12 * HOUR_MS, NOON_MS - 3 * HOUR_MS),
        ),
        ({"from": "2026-11-23T02:00", "until": "2027-01-01"}, (NOON_MS - 10 * HOUR_MS, NOON_MS)),
    ],
)
def test_a_window_ends_where_it_says_and_never_after_now(
    says: dict[str, str], found: tuple[int, int]
) -> None:
    assert window(says, CHICAGO, NOON_MS) == found


@pytest.mark.parametrize(
    "says",
    [
        {},
        {"since": "48h", "from": "2026-11-23"},
        {"since": "two days"},
        {"from": "yesterday"},
        {"from": "2026-11-24"},
        {"from": "2026-11-23T09:00", "until": "2026-11-23T09:00"},
    ],
)
def test_what_is_no_window_is_refused_with_what_is_expected(says: dict[str, str]) -> None:
    with pytest.raises(BusError):
        window(says, CHICAGO, NOON_MS)
