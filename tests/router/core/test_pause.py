"""A pause as it is told on STATE, and read from there."""

import pytest

from router.core.pause import Pause, pause_of

PAUSE = Pause("lms", 1_000, 5_000, "ada", "upgrade", 7)


def test_what_state_says_of_a_pause_is_that_pause() -> None:
    assert pause_of(PAUSE.entries()) == PAUSE._replace(told_ms=0)


def test_a_pause_that_was_ended_is_none() -> None:
    assert pause_of({**PAUSE.entries(), "resumed_ms": 2_000}) is None


def test_what_is_no_pause_is_not_taken_for_one() -> None:
    with pytest.raises(KeyError):
        pause_of({"system": "lms"})
