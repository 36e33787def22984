"""A destination is told no faster than its pace, and as fast as that."""

from hypothesis import given
from hypothesis import strategies as st

from router.core.pace import Pace


@given(st.floats(0.01, 500), st.integers(0, 100), st.lists(st.integers(0, 5_000), max_size=60))
def test_no_more_go_than_the_rate_brings_and_one_burst(rate: float, burst: int, gaps_ms: list[int]) -> None:
    pace, now_ms, went = Pace.of(rate, burst, 0), 0, 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        pace = pace.at(now_ms)
        went += pace.room
        pace = pace.take(pace.room)

        assert went <= pace.burst + rate * now_ms / 1000 + 1e-6


@given(st.floats(0.01, 500), st.integers(0, 100))
def test_who_waits_as_long_as_it_says_finds_room(rate: float, burst: int) -> None:
    pace = Pace.of(rate, burst, 0)
    pace = pace.take(pace.room)

    assert pace.at(int(pace.wait_s * 1000) + 1).room >= 1


def test_a_pace_is_steady_and_not_a_burst_and_a_rest() -> None:
    pace, now_ms, sends = Pace.of(10, 1, 0), 0, list[int]()
    while now_ms < 1_000:
        pace = pace.at(now_ms)
        if not pace.wait_s:
            sends.append(now_ms)
            pace = pace.take(1)
        now_ms += 10

    assert sends == [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]


def test_a_clock_that_was_put_back_brings_nothing_and_stops_nothing() -> None:
    pace = Pace.of(10, 10, 1_000_000).take(10)

    assert pace.at(0).room == 0
    assert pace.at(0).at(1_000).room == 10


def test_without_a_rate_nothing_waits() -> None:
    assert Pace.of(0, 0, 0).take(1_000).wait_s == 0
