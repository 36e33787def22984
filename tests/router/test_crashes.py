"""The process dies before each step in turn; the next start puts together what it finds.

The simulated world names every step that the router takes in it: `commit index record` is intake's commit,
`commit index work` the marker's, `commit index ledger` the worker's, `commit sis …` the source's own.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from simulation.invariants import broken
from simulation.world import Town

INTAKE = (
    "next intake",
    "publish CHANGES",
    "published CHANGES",
    "commit index record",
    "committed index record",
    "publish AUDIT",
    "published AUDIT",
    "ack intake",
    "acked intake",
)
DELIVERY = (
    "commit index work",
    "committed index work",
    "move lms",
    "moved lms",
    "apply lms",
    "applied lms",
    "apply idp",
    "applied idp",
    "commit index ledger",
    "committed index ledger",
    "publish STATE",
    "published STATE",
)
SOURCE = (
    "open reading sis",
    "rows sis",
    "commit sis staged",
    "committed sis staged",
    "commit sis read",
    "committed sis read",
    "publish EVENTS",
    "published EVENTS",
    "commit sis held",
    "committed sis held",
    "accepted sis",
)
START = ("open index.sqlite", "info CHANGES", "read EVENTS", "consume EVENTS intake", "place lms")
POINTS = (*[(step, nth) for step in INTAKE + DELIVERY + SOURCE for nth in (1, 2)], ("refused sis", 1))
DOWN_S = (1.0, 3 * 3600.0)
"""Within the server's window for duplicates, and beyond it."""


def dies_before(step: str, nth: int) -> Callable[[str], bool]:
    seen: Counter[str] = Counter()

    def hook(name: str) -> bool:
        seen[name] += 1
        return name == step and seen[name] == nth

    return hook


@pytest.fixture
def town() -> Iterator[Town]:
    """A town with no fault but the crashes."""
    with contextlib.closing(Town("crashes", faults=0.0, days=3, size=12)) as town:
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


@pytest.mark.parametrize("down_s", DOWN_S)
@pytest.mark.parametrize(("step", "nth"), POINTS)
def test_a_crash_before_a_step_loses_doubles_and_decides_anew_nothing(
    town: Town, step: str, nth: int, down_s: float
) -> None:
    crash_once(town, step, nth, down_s)
    sent = [count for far in town.fars.values() for count in far.sent.values()]

    assert broken(town) == []
    assert max(sent) <= 2  # what was sent and not committed goes once more
    assert told_twice(town) == []


@pytest.mark.parametrize("step", START)
def test_a_crash_at_the_start_leaves_all_to_the_next(town: Town, step: str) -> None:
    crash_once(town, step, 1, 1.0)

    assert broken(town) == []


def test_a_crash_in_life_after_life_leaves_all_to_the_last(town: Town) -> None:
    for step in (*START, *INTAKE, *DELIVERY):
        town.live(dies_before(step, 1))
    crashes = sum(" dies " in line for line in town.trace.lines)

    assert town.live()
    assert broken(town) == []
    assert crashes >= 15
