"""When something is tried again: never too soon again and again, never too late."""

from hypothesis import given
from hypothesis import strategies as st

from router.core.retry import ASKED_MAX_S, BACKOFF_MAX_S, backoff_s, wait_s

attempts = st.integers(0, 1_000)
jitters = st.floats(0, 1)


@given(attempts, jitters)
def test_the_wait_grows_with_attempts_up_to_a_limit(attempt: int, jitter: float) -> None:
    assert 0 <= backoff_s(attempt, jitter) <= BACKOFF_MAX_S
    assert backoff_s(attempt, 1.0) <= backoff_s(attempt + 1, 1.0)


@given(attempts, jitters)
def test_full_jitter_spreads_the_tries_over_the_whole_wait(attempt: int, jitter: float) -> None:
    assert backoff_s(attempt, jitter) == backoff_s(attempt, 1.0) * jitter


@given(attempts, jitters, st.floats(0.001, 1e9))
def test_what_the_far_end_asks_for_is_kept_for_an_hour_at_most(
    attempt: int, jitter: float, asked_s: float
) -> None:
    assert wait_s(attempt, asked_s, jitter) == min(asked_s, ASKED_MAX_S)
