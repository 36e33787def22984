"""What is looked at from time to time."""

from simulation.by_hand import empty_town, event, say
from simulation.clock import START_MS

from bus.messages import Op


def test_every_look_is_taken_by_a_router_that_has_nothing_else_to_do() -> None:
    with empty_town() as town:
        say(town, event("1", name="Ada"), event("1", op=Op.DELETE, at_ms=START_MS + 1))
        assert town.live()
        town.live(until_quiet=False, stop_after_s=100)

        assert town.pipeline is None
        assert not [line for line in town.trace.lines if "trouble: watch" in line]
