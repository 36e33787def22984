"""A plan is held, approved in part and published; the process dies before each step in turn."""

from collections import Counter
from collections.abc import Iterator

import pytest
from simulation.by_hand import empty_town, reading, told
from simulation.exports import classes, dies_at, enrollments, give, last, news, students
from simulation.holding import NINE, TEN, deciding, gone, holds, outcome, strict, waiting, without
from simulation.invariants import broken
from simulation.world import Town


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield strict(town)


STEPS = (
    "commit sis waiting",
    "committed sis waiting",
    "commit sis hold",
    "committed sis hold",
    "publish AUDIT",
    "published AUDIT",
    "publish EVENTS",
    "published EVENTS",
    "commit sis held",
    "committed sis held",
    "commit sis read",
    "committed sis read",
    "accepted sis",
)


def plan_of_two_schools(town: Town) -> None:
    give(town, [*NINE, *TEN], classes(1), enrollments(1))
    town.loop.pass_time(60)
    rows = [*without(NINE, 1, 2, 3, 4), *without(TEN, 21, 22, 23, 24), *students(9, grade="9")]
    reading(town, {"student": rows, "class": classes(1), "enrollment": enrollments(9)})


def settled(town: Town, before: int) -> None:
    """All is as if nothing had happened: one school's removals came, the other's wait."""
    assert Counter(news(town, before)) == Counter(
        [("create", "s9"), ("create", "e9"), ("delete", "e1"), *gone(1, 2, 3, 4)]
    )
    assert waiting(town) == gone(21, 22, 23, 24)
    assert [hold.state for hold in holds(town)] == ["open"]
    assert outcome(town, 2) == "held"
    for stream in ("AUDIT", "STATE", "ALERTS"):
        ids = Counter(stored.id for stored in town.server.streams[stream].history)
        assert [id_ for id_, count in ids.items() if count > 1 and not id_.startswith("read/")] == []
    assert [record.who for record in acts(town)] == ["", "ada"]
    assert broken(town, by_script=False) == []


def acts(town: Town) -> list:  # type: ignore[type-arg]
    return [told(town, f"hold/sis-2/{number}") for number in (1, 2)]


@pytest.mark.parametrize("down_s", [1.0, 3 * 3600.0])
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_while_a_plan_is_held_and_approved_loses_and_doubles_nothing(
    town: Town, step: str, nth: int, down_s: float
) -> None:
    plan_of_two_schools(town)
    before = last(town)
    answers: list[str] = []
    deciding(town, "approve", "sis-2", "", answers=answers, school="9")
    died = not town.live(dies_at(step, nth))
    town.loop.pass_time(down_s)
    assert town.live()
    if not town.acts and not holds(town)[0].acts[1:]:  # it died before the approval was kept
        deciding(town, "approve", "sis-2", "", answers=answers, school="9")
    assert town.live()

    assert died or nth > 1, f"{step} never came"
    settled(town, before)
