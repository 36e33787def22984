"""The process dies before each step in turn; the next start puts together what it finds.

The simulated world names every step that the router takes in it: `commit index record` is intake's commit,
`commit index work` the marker's, `commit index ledger` the worker's, `commit sis …` the source's own. Which
steps there are is recorded in a life without a crash, so that a new one is not forgotten.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from simulation.invariants import broken
from simulation.world import Town

DOWN_S = (1.0, 3 * 3600.0)
"""Within the server's window for duplicates, and beyond it."""


def crash_town() -> Town:
    """A town with no fault but the crashes, and one record that a destination refuses."""
    town = Town("crashes", faults=0.0, days=3, size=12)
    refused = min(f"{entity}/{id_}" for entity, id_ in town.scripts["sis"][-1].after if entity == "student")
    town.fars["lms"].hates = frozenset({refused})
    return town


def recorded() -> Counter[str]:
    """Every step that a life without a crash takes in that town, how often, in the order of the first."""
    steps: Counter[str] = Counter()

    def hook(name: str) -> bool:
        steps[name] += 1
        return False

    with contextlib.closing(crash_town()) as town:
        assert town.live(hook)
    return steps


STEPS = recorded()
POINTS = [
    pytest.param(
        step, nth, down_s, marks=[] if nth == 1 and number % 2 == chosen else pytest.mark.slow,
        id=f"{step}-{nth}-{down_s:.0f}",
    )
    for number, (step, times) in enumerate(STEPS.items())
    for nth in range(1, min(times, 2) + 1)
    for chosen, down_s in enumerate(DOWN_S)
]  # fmt: skip
"""Each step once in `make test`, each twice and after both times in `make test-all`."""


def dies_before(step: str, nth: int) -> Callable[[str], bool]:
    seen: Counter[str] = Counter()

    def hook(name: str) -> bool:
        seen[name] += 1
        return name == step and seen[name] == nth

    return hook


@pytest.fixture
def town() -> Iterator[Town]:
    with contextlib.closing(crash_town()) as town:
        yield town


def crash_once(town: Town, step: str, nth: int, down_s: float) -> None:
    """Die before that step; then start again, and come to rest."""
    assert not town.live(dies_before(step, nth)), f"{step} never came {nth} times"
    town.loop.pass_time(down_s)
    assert town.live(), f"it does not come to rest: {town.unquiet()}"


def told_twice(town: Town) -> list[str]:
    """Ids that stand on a stream more than once. The end of a read may be told again: it is one step."""
    return [
        id_
        for stream in ("CHANGES", "AUDIT", "DEAD", "STATE")
        for id_, count in Counter(stored.id for stored in town.server.streams[stream].history).items()
        if count > 1 and not id_.startswith("read/")
    ]


def test_the_steps_of_intake_delivery_sources_and_start_are_among_those_recorded() -> None:
    assert STEPS.keys() >= {
        *("open index.sqlite", "info EVENTS", "read CHANGES", "consume EVENTS intake", "place lms"),
        *("commit index position", "publish CHANGES", "commit index record", "commit index outbox"),
        *("publish AUDIT", "ack intake", "commit index work", "move lms", "apply lms", "apply files"),
        *("commit index ledger", "publish STATE", "publish DEAD", "publish ALERTS", "commit sis staged"),
        *(
            "commit sis plan",
            "publish EVENTS",
            "commit sis held",
            "last AUDIT",
            "accepted sis",
            "refused sis",
        ),
    }


@pytest.mark.parametrize(("step", "nth", "down_s"), POINTS)
def test_a_crash_before_a_step_loses_doubles_and_decides_anew_nothing(
    town: Town, step: str, nth: int, down_s: float
) -> None:
    crash_once(town, step, nth, down_s)
    sent = [count for far in town.fars.values() for count in far.sent.values()]

    assert broken(town) == []
    assert max(sent) <= 2  # what was sent and not committed goes once more
    assert told_twice(town) == []


def test_a_crash_in_life_after_life_leaves_all_to_the_last(town: Town) -> None:
    for step in STEPS:
        town.live(dies_before(step, 1))
    crashes = sum(" dies " in line for line in town.trace.lines)

    assert town.live()
    assert broken(town) == []
    assert crashes >= 15
