"""A batch is decided while the one before is on its way to the disk: it finds what that one has decided."""

from collections.abc import Callable, Iterator

import pytest
from simulation.by_hand import say, told
from simulation.invariants import broken, changes
from simulation.world import Town
from two_ids import crosswalk, identity_town, lived, of, other, student

from bus.messages import Event, Op, Outcome
from router.pipeline import Pipeline

STEPS = ("publish CHANGES", "published CHANGES", "commit index record", "ack intake")


@pytest.fixture
def town() -> Iterator[Town]:
    """Batches of one event."""
    with identity_town() as town:
        town.batch_max = 1
        yield town


def say_at_once(town: Town, *events: Event) -> None:
    """Say them while the router is at work."""

    async def act(_: Pipeline) -> None:
        say(town, *events)

    town.acts.append(act)


def line(town: Town, text: str) -> int:
    """Where in the trace something happens first."""
    return next(number for number, each in enumerate(town.trace.lines) if text in each)


def test_the_next_batch_is_decided_before_the_first_is_on_the_bus(town: Town) -> None:
    say_at_once(town, student("1", name="Ada"), student("1", name="Bea", hours=1))

    assert town.live()
    assert line(town, "next intake 2") < line(town, "published CHANGES 1") < line(town, "commit index record")
    assert line(town, "commit index record") < line(town, "publish CHANGES 1: 1.2")
    assert [change.record.rev for change in changes(town)] == [1, 2]
    assert of(town, "student/1").values["name"] == "Bea"
    assert broken(town, by_script=False) == []


def test_a_record_that_is_changed_seen_and_changed_again_in_a_row_is_compared_rightly(town: Town) -> None:
    ada = student("1", name="Ada")
    say_at_once(
        town,
        ada,
        ada._replace(id="again", observed_at_ms=ada.observed_at_ms + 1),
        student("1", name="Bea", hours=1),
        student("1", name="Eda", hours=2),
    )

    assert town.live()
    assert [change.record.values["name"] for change in changes(town)] == ["Ada", "Bea", "Eda"]
    assert not [each for each in town.trace.lines if "WrongSequence" in each or "trouble" in each]
    assert broken(town, by_script=False) == []


def account() -> Event:
    return student("a", system="idp", name="Ada", born="2010", email="a@x")


def dismissal() -> Event:
    about = {"system": "idp", "local_id": "a", "who": "kim", "why": "a printer"}
    return Event("dismiss", "operator", "student", Op.DISMISS, "", {}, False, 0, act=about)


def test_what_waits_is_matched_by_a_record_that_comes_right_after(town: Town) -> None:
    say_at_once(town, account(), student("1", name="Ada", born="2010"))

    assert town.live()
    assert crosswalk(town)["idp:a"] == "student/1"
    assert of(town, "student/1").values["email"] == "a@x"


def test_a_record_is_recognised_right_after_it_came(town: Town) -> None:
    say_at_once(town, student("1", name="Ada", born="2010"), account())

    assert town.live()
    assert told(town, "event/2").outcome is Outcome.ACCEPTED


def test_what_waits_is_dismissed_right_after_it_came(town: Town) -> None:
    say_at_once(town, account(), dismissal())

    assert town.live()
    assert town.disk.rows("index.sqlite", "SELECT local_id FROM unmatched") == []
    assert town.disk.rows("index.sqlite", "SELECT local_id FROM dismissed") == [("a",)]


def test_a_reference_heals_by_a_record_that_comes_right_after(town: Town) -> None:
    lived(town, other("class", "c", title="Art"))
    enrollment = other("enrollment", "e", user="7", **{"class": "c"}, role="student")
    say_at_once(town, enrollment, student("7", name="Ada"))

    assert town.live()
    assert of(town, "enrollment/e").values["user"] == "student/7"


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_while_two_are_on_their_way_loses_and_doubles_nothing(
    town: Town, step: str, nth: int
) -> None:
    say_at_once(town, *[student("1", name=f"Ada {number}", hours=number) for number in range(4)])
    town.live(_dies_before(step, nth))
    town.loop.pass_time(3600)

    assert town.live()
    assert [change.record.rev for change in changes(town)] == [1, 2, 3, 4]
    assert of(town, "student/1").values["name"] == "Ada 3"
    assert [told(town, f"event/{seq}").outcome for seq in (1, 2, 3, 4)] == [Outcome.ACCEPTED] * 4
    assert broken(town, by_script=False) == []


def _dies_before(step: str, nth: int) -> Callable[[str], bool]:
    seen = 0

    def hook(name: str) -> bool:
        nonlocal seen
        seen += name == step
        return name == step and seen == nth

    return hook
