"""A reference to what is not there yet heals when it appears."""

from collections.abc import Iterator

import pytest
from simulation.by_hand import say
from simulation.invariants import broken
from simulation.world import Town
from two_ids import crosswalk, gone, identity_town, lived, of, other, student


@pytest.fixture
def town() -> Iterator[Town]:
    with identity_town() as town:
        yield town


def loose(town: Town) -> list[tuple[str, str, str]]:
    return town.disk.rows("index.sqlite", "SELECT * FROM loose")


def enrollment(hours: int = 0) -> object:
    return other("enrollment", "e", user="7", **{"class": "c"}, role="student", hours=hours)


def test_what_was_missing_is_named_when_it_comes(town: Town) -> None:
    lived(town, enrollment())
    assert of(town, "enrollment/e").values["user"] == "?/7"
    assert sorted(loose(town)) == [("sis", "7", "enrollment/e"), ("sis", "c", "enrollment/e")]
    lived(town, student("7", name="Ada", hours=1))

    assert of(town, "enrollment/e").values["user"] == "student/7"
    assert of(town, "enrollment/e").origins["user"].rule == "owner"
    assert loose(town) == [("sis", "c", "enrollment/e")]
    lived(town, other("class", "c", title="Art", hours=2))
    assert town.fars["lms"].records["enrollment/e"].fields["class"] == "c"
    assert loose(town) == []
    assert broken(town, by_script=False) == []


def test_what_is_said_again_after_that_is_no_news(town: Town) -> None:
    lived(town, enrollment(), student("7", name="Ada"), other("class", "c", title="Art"))
    assert of(town, "enrollment/e").values["class"] == "class/c"
    before = of(town, "enrollment/e").rev
    lived(town, enrollment(5))

    assert of(town, "enrollment/e").rev == before
    assert loose(town) == []


def test_something_else_with_that_id_is_not_meant(town: Town) -> None:
    lived(town, enrollment())
    lived(town, other("class", "7", title="Art", hours=1))

    assert of(town, "enrollment/e").values["user"] == "?/7"
    lived(town, student("7", name="Ada", hours=2))
    assert of(town, "enrollment/e").values["user"] == "student/7"


def test_a_record_that_has_gone_meanwhile_is_left_alone(town: Town) -> None:
    lived(town, enrollment(), gone("e", entity="enrollment", hours=1))
    lived(town, student("7", name="Ada", hours=2))

    assert of(town, "enrollment/e").deleted
    assert loose(town) == []
    assert town.server.streams["EVENTS"].last_seq == 3


STEPS = ("publish CHANGES", "published CHANGES", "commit index record", "publish EVENTS", "ack intake")


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_leaves_none_loose(town: Town, step: str) -> None:
    lived(town, enrollment())
    say(town, student("7", name="Ada", hours=1))
    assert not town.live(lambda name: name == step)
    town.loop.pass_time(3 * 3600)
    assert town.live()

    assert crosswalk(town)["sis:7"] == "student/7"
    assert of(town, "enrollment/e").values["user"] == "student/7"
    assert broken(town, by_script=False) == []
