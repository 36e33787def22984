"""Destinations whose answer is not what they did: they write, and say no, or later."""

from collections.abc import Iterator

import pytest
from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS
from simulation.invariants import broken
from simulation.world import Town

from bus.messages import Event, Op

LIES = ("far.lie_no", "far.lie_later")


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        town.loop.pass_time(3600)
        yield town


def ada(at: int, grade: str = "9", op: Op = Op.UPDATE) -> Event:
    fields = {} if op is Op.DELETE else {"name": "Ada", "grade": grade}
    return event("1", op=op, at_ms=START_MS + at, **fields)


def lied_to(town: Town, said: Event, lie: str, then: Event) -> None:
    """It writes what it is told first, and denies it; when `then` comes it does not lie any more."""
    say(town, said)
    town.weather.rates[lie] = 1.0
    town.loop.call_later(1.0, lambda: (town.weather.rates.update({lie: 0.0}), say(town, then)))
    assert town.live()


@pytest.mark.parametrize("lie", LIES)
def test_what_was_written_and_denied_is_removed_when_the_record_goes(town: Town, lie: str) -> None:
    lied_to(town, ada(0), lie, ada(1, op=Op.DELETE))

    assert "student/1" not in town.fars["lms"].records
    assert broken(town, by_script=False) == []


@pytest.mark.parametrize("lie", LIES)
def test_what_was_written_and_denied_is_put_right_when_the_record_goes_back(town: Town, lie: str) -> None:
    say(town, ada(0))
    assert town.live()
    lied_to(town, ada(1, grade="10"), lie, ada(2, grade="9"))

    assert town.fars["lms"].records["student/1"].fields["grade"] == "9"
    assert broken(town, by_script=False) == []


def test_a_failure_that_is_mended_does_not_make_a_record_doubtful_for_good(town: Town) -> None:
    lied_to(town, ada(0), "far.lie_no", ada(1, grade="10"))
    sent = sum(town.fars["lms"].sent.values())
    say(town, ada(2, grade="11"), ada(3, grade="10"))

    assert town.live()
    assert sum(town.fars["lms"].sent.values()) == sent
