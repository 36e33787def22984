"""A plan is its seed."""

from crash.trouble import plan
from crash.victims import How

HOWS = {"router": (How.KILL, How.STOP), "nats": (How.KILL, How.STOP, How.CUT), "lms": (How.DEAF,)}


def test_the_same_seed_is_the_same_plan_and_another_one_another() -> None:
    assert plan(1, 50, HOWS) == plan(1, 50, HOWS)
    assert plan(1, 50, HOWS) != plan(2, 50, HOWS)


def test_over_many_everything_happens_to_everybody() -> None:
    happens = {(each.victim, each.how) for each in plan(1, 200, HOWS)}

    assert happens == {(name, how) for name, hows in HOWS.items() for how in hows}
