"""A term ends, and its rows vanish from the export: they have ended, and are not removed (standards 7.3)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, empty_town, reading, records, told
from simulation.exports import TWENTY, dies_at, enrollments, give, last, news, remarks, students
from simulation.holding import holds, outcome, strict, waiting
from simulation.world import Town

from bus.messages import Outcome

OVER = ("c1", {"title": "2026-06-30", "after": ""})
GOING_ON = ("c2", {"title": "2027-06-30", "after": ""})
"""A class's title is its last day here."""


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        strict(town, shrink_max=0.2)
        entities = dict(town.district.entities)
        entities["enrollment"] = replace(entities["enrollment"], ends=("role", "class.title"))
        entities["class"] = replace(entities["class"], ends=("title",))
        town.district = replace(town.district, entities=entities)
        yield town


def enrolled(*ids: int, class_: str, until: str = "") -> list[tuple[str, dict[str, str]]]:
    return [(id_, {**row, "role": until}) for id_, row in enrollments(*ids, class_=class_)]


def test_21_what_has_ended_and_is_not_exported_any_more_stays_and_is_neither_held_nor_refused(
    town: Town,
) -> None:
    give(town, students(*TWENTY), [OVER, GOING_ON], enrolled(*TWENTY, class_="c1"))
    before = last(town)
    script = give(town, students(*TWENTY), [GOING_ON], enrolled(1, class_="c2"))

    assert script.settled == "accepted"
    assert ("delete", "c1") not in news(town, before)
    assert {id_ for op, id_ in news(town, before) if op == "delete"} == set()
    assert (holds(town), waiting(town)) == ([], [])
    assert not records(town)["enrollment/e7"].deleted
    assert remarks(town)[0] == "20 records that had ended are in it no more: they stay as they are"


def test_what_goes_before_its_end_is_removed_within_the_limits_and_refused_beyond(town: Town) -> None:
    give(town, students(*TWENTY), [GOING_ON], enrolled(*TWENTY, class_="c2"))
    before = last(town)
    give(town, students(*TWENTY), [GOING_ON], enrolled(*range(1, 19), class_="c2"))
    give(town, students(*TWENTY), [GOING_ON], enrolled(*range(1, 5), class_="c2"))

    assert news(town, before) == [("delete", "e19"), ("delete", "e20")]
    assert outcome(town, 3) == "refused"


def test_a_records_own_last_day_counts_before_its_terms(town: Town) -> None:
    give(
        town,
        students(1, 2, 3),
        [OVER, GOING_ON],
        [
            *enrolled(1, class_="c2", until="2026-09-30"),
            *enrolled(2, class_="c1", until="2027-01-01"),
            *enrolled(3, class_="c2"),
        ],
    )
    before = last(town)
    give(town, students(1, 2, 3), [OVER, GOING_ON], enrolled(3, class_="c2"))

    assert news(town, before) == [("delete", "e2")]


def test_what_has_ended_and_is_exported_again_is_no_news(town: Town) -> None:
    rows = enrolled(1, 2, class_="c1")
    give(town, students(1, 2), [OVER, GOING_ON], rows)
    give(town, students(1, 2), [OVER, GOING_ON], rows[:1])
    give(town, students(1, 2), [OVER, GOING_ON], rows)

    assert [record.rev for key, record in records(town).items() if "e2" in key] == [1]
    assert told(town, "read/sis/3").outcome is Outcome.ACCEPTED
    give(town, students(1, 2), [OVER, GOING_ON], rows)
    assert outcome(town, 4) == "unchanged"


def test_what_the_source_says_is_gone_is_removed_whether_it_has_ended_or_not(town: Town) -> None:
    rows = enrolled(1, 2, class_="c1")
    give(town, students(1, 2), [OVER, GOING_ON], rows)
    before = last(town)
    give(town, [], [], rows[:1], full=False, deleted=frozenset({"e1"}))

    assert news(town, before) == [("delete", "e1")]


@pytest.mark.parametrize("step", ["commit sis concluded", "committed sis concluded", "publish EVENTS"])
def test_a_crash_meanwhile_changes_nothing_of_that(town: Town, step: str) -> None:
    rows = enrolled(1, 2, class_="c1")
    give(town, students(1, 2), [OVER, GOING_ON], rows)
    before = last(town)
    town.loop.pass_time(60)
    reading(town, {"student": students(1, 2, 3), "class": [OVER, GOING_ON], "enrollment": rows[:1]})
    assert not town.live(dies_at(step))
    assert town.live()

    assert news(town, before) == [("create", "s3")]
    assert town.disk.rows("sis.sqlite", "SELECT local_id FROM held WHERE entity = 'enrollment'") == [("e1",)]
    assert alerts(town) == []
