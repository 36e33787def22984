"""A reading of changes only: how much it may remove, and on top of what it may be taken."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, empty_town, reading, told
from simulation.exports import TWENTY, dies_at, give, last, news, remarks, students
from simulation.school import Script
from simulation.world import Town

from router.core.rules import Guards


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def removed(*ids: int) -> frozenset[str]:
    return frozenset(f"s{id_}" for id_ in ids)


HUNDRED = range(1, 101)
FORTY = range(1, 41)
CONTRADICTORY = [*students(1, grade="10"), *students(1, grade="11")]


def test_one_that_removes_more_than_the_limit_is_refused_whole(town: Town) -> None:
    give(town, students(*HUNDRED))
    before = last(town)
    script = give(town, students(*FORTY), full=False, deleted=removed(*FORTY))

    assert script.settled == "refused"
    assert last(town) == before
    assert told(town, "read/sis/2").reason == "too-many-removals"
    assert remarks(town) == [
        "with its removals student: 60 rows, the last good read had 100 (limit 20 % fewer)"
    ]


def test_one_that_removes_less_than_the_limit_is_taken(town: Town) -> None:
    give(town, students(*HUNDRED))
    before = last(town)
    give(town, students(*range(1, 16)), full=False, deleted=removed(*range(1, 16)))

    assert [op for op, _ in news(town, before)] == ["delete"] * 15


def test_after_a_refused_one_a_later_one_is_refused(town: Town) -> None:
    give(town, students(*TWENTY))
    give(town, CONTRADICTORY, full=False)
    before = last(town)
    script = give(town, students(2, grade="10"), full=False)

    assert script.settled == "refused"
    assert last(town) == before
    assert told(town, "read/sis/3").reason == "gap"
    assert remarks(town) == [
        "reading-3: it holds changes only, and those of reading-2 before it were not taken"
        " (expected all records): send a bulk export"
    ]
    assert alerts(town).count("refused-file") == 2


def test_a_full_reading_closes_the_gap(town: Town) -> None:
    give(town, students(*TWENTY))
    give(town, CONTRADICTORY, full=False)
    give(town, students(*TWENTY))
    before = last(town)
    give(town, students(2, grade="10"), full=False)

    assert news(town, before) == [("update", "s2")]


def test_a_full_reading_that_is_refused_leaves_the_gap_open(town: Town) -> None:
    give(town, students(*TWENTY))
    give(town, CONTRADICTORY, full=False)
    give(town, CONTRADICTORY)

    assert give(town, students(2, grade="10"), full=False).settled == "refused"


def test_a_refused_full_reading_makes_no_gap(town: Town) -> None:
    give(town, students(*TWENTY))
    give(town, CONTRADICTORY)

    assert give(town, students(2, grade="10"), full=False).settled == "accepted"


def test_the_refused_content_itself_closes_the_gap_once_it_is_taken(town: Town) -> None:
    give(town, students(*HUNDRED))
    refused = give(town, students(*FORTY), full=False, deleted=removed(*FORTY))
    later = give(town, students(50, grade="10"), full=False)
    assert (refused.settled, later.settled) == ("refused", "refused")

    again(town, refused, Guards(shrink_max=0.5))
    again(town, later, Guards())

    assert (refused.settled, later.settled) == ("accepted", "accepted")
    assert news(town)[-1] == ("update", "s50")


def test_a_refusal_that_a_crash_cut_off_makes_a_gap_too(town: Town) -> None:
    give(town, students(*TWENTY))
    reading(town, {"student": CONTRADICTORY}, full=False)
    assert not town.live(dies_at("commit sis staged", after="refused sis"))

    assert give(town, students(2, grade="10"), full=False).settled == "refused"


def again(town: Town, script: Script, guards: Guards) -> None:
    """Somebody puts the file back into the folder, under other limits."""
    town.district = replace(town.district, guards=guards)
    script.settled = ""
    assert town.live()
