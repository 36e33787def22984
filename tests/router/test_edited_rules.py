"""A rule that is edited so that it leaves out a school is held like a removal of data (standards 7.3, 23)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import empty_town
from simulation.exports import classes, give, last, news, remarks, students
from simulation.holding import NINE, TEN, approve, gone, holds, outcome, strict, waiting, without
from simulation.world import Town


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield strict(town)


def test_23_a_rule_that_leaves_out_a_school_is_held_like_a_removal_of_data(town: Town) -> None:
    give(town, [*NINE, *TEN], classes(1))
    before = last(town)
    choosing(town, NotSchool("9"), "grade != '9'")
    give(town, [*NINE, *TEN], classes(1))
    give(town, [*NINE, *TEN], classes(1))

    assert last(town) == before
    assert waiting(town) == gone(*range(1, 9))
    assert [hold.id for hold in holds(town)] == ["sis-2"]
    approve(town, "sis-2")
    assert sorted(news(town, before)) == gone(*range(1, 9))
    give(town, [*NINE, *TEN], classes(1))
    assert outcome(town, 4) == "unchanged"


def test_a_row_that_the_same_rule_does_not_take_any_more_is_set_aside(town: Town) -> None:
    choosing(town, NotSchool("13"), "grade != '13'")
    give(town, [*NINE, *TEN])
    before = last(town)
    give(town, [*students(1, grade="13"), *without(NINE, 1), *TEN])

    assert (last(town), waiting(town)) == (before, [])
    assert "no entity takes this row (when: grade != '13'). The row was set aside" in remarks(town)[0]


class NotSchool:
    """The expression `grade != "…"` over a row."""

    variables = ("grade",)

    def __init__(self, grade: str) -> None:
        self._grade = grade

    def execute(self, context: dict[str, object], /) -> object:
        return context["grade"] != self._grade


def choosing(town: Town, when: NotSchool, text: str) -> None:
    """Somebody edits which rows are students."""
    systems = dict(town.district.systems)
    source = systems["sis"].source
    assert source is not None
    student = replace(source.entities["student"], when=when, when_text=text)
    edited = replace(source, entities={**source.entities, "student": student})
    systems["sis"] = replace(systems["sis"], source=edited)
    town.district = replace(town.district, systems=systems)
