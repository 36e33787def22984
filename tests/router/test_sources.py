"""A reading on its way to EVENTS: the guards (standards 7.3, by number), what is set aside, what is news."""

from collections.abc import Iterator

import pytest
from simulation.by_hand import alerts, empty_town, reading, records, told
from simulation.exports import (
    TWENTY,
    classes,
    enrollments,
    events,
    give,
    last,
    news,
    remarks,
    students,
)
from simulation.invariants import broken
from simulation.world import Town

from bus.messages import Op, Outcome


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def test_a_first_reading_is_published_in_the_order_of_its_entities(town: Town) -> None:
    script = give(town, students(1, 2), classes(1), enrollments(1))

    assert script.settled == "accepted"
    assert news(town) == [("create", "s1"), ("create", "s2"), ("create", "c1"), ("create", "e1")]
    assert broken(town, by_script=False) == []


def test_1_a_file_that_was_cut_is_refused_whole_and_removes_nothing(town: Town) -> None:
    give(town, students(*TWENTY))
    before = last(town)
    script = give(town, students(*range(1, 9), grade="12"))

    assert script.settled == "refused"
    assert last(town) == before
    assert "refused-file" in alerts(town)
    assert told(town, "read/sis/2").outcome is Outcome.REFUSED
    assert told(town, "read/sis/2").reason == "looks-truncated"


def test_2_a_file_with_nothing_but_a_header_is_refused(town: Town) -> None:
    give(town, students(1, 2), classes(1))
    script = give(town, students(1, 2), [])

    assert script.settled == "refused"
    assert not any(op == "delete" for op, _ in news(town))


def test_3_a_table_that_is_missing_removes_nothing(town: Town) -> None:
    give(town, students(1, 2), classes(1), enrollments(1))
    before = last(town)
    town.loop.pass_time(60)
    reading(town, {"student": students(1, 2)})

    assert town.live()
    assert last(town) == before


def test_10_a_row_that_refers_to_nothing_is_set_aside_and_the_rest_goes_on(town: Town) -> None:
    script = give(town, students(*TWENTY), classes(1), [*enrollments(*TWENTY), *enrollments(99)])

    assert script.settled == "accepted"
    assert ("create", "e99") not in news(town)
    assert ("create", "e20") in news(town)
    assert "quarantined-rows" in alerts(town)
    assert remarks(town) == [
        "enrollment:22: student refers to a record that is not there. The row was set aside"
    ]


def test_more_rows_that_refer_to_nothing_than_the_limit_refuse_the_file(town: Town) -> None:
    script = give(town, students(*TWENTY), classes(1), enrollments(*range(1, 30)))

    assert script.settled == "refused"
    assert last(town) == 0


def test_where_a_reference_is_not_required_the_rest_of_the_row_is_taken(town: Town) -> None:
    rows = [*enrollments(*TWENTY), ("e50", {"student": "s1", "class": "ghost", "role": ""})]
    script = give(town, students(*TWENTY), classes(1), rows)

    assert script.settled == "accepted"
    assert ("create", "e50") in news(town)
    assert "class refers to a record that is not there. The rest of the row was taken" in remarks(town)[0]


def test_a_row_may_refer_to_a_later_one_of_the_same_file(town: Town) -> None:
    script = give(town, [], [*classes(1, after="c9"), *classes(*range(2, 10))])

    assert script.settled == "accepted"
    assert remarks(town) == []


def test_a_row_that_was_set_aside_is_not_taken_for_removed(town: Town) -> None:
    give(town, students(*TWENTY), classes(1), enrollments(*TWENTY))
    before = last(town)
    spoilt = students(*TWENTY)
    spoilt[4] = ("s5", {"name": "", "grade": "12", "credits": ""})
    script = give(town, spoilt, classes(1), enrollments(*TWENTY))

    assert script.settled == "accepted"
    assert last(town) == before
    assert remarks(town) == ["student:6: name: blank (a value is required). The row was set aside"]


def test_the_same_row_twice_is_one_event(town: Town) -> None:
    script = give(town, [*students(1, 2), *students(1)])

    assert script.settled == "accepted"
    assert news(town) == [("create", "s1"), ("create", "s2")]
    assert remarks(town) == ["student:4: the same row as line 2"]


def test_one_id_with_two_contents_refuses_the_file(town: Town) -> None:
    script = give(town, [*students(1, 2), *students(1, grade="12")])

    assert script.settled == "refused"
    assert last(town) == 0
    assert told(town, "read/sis/1").reason == "duplicate-id"


def test_a_file_without_news_publishes_nothing(town: Town) -> None:
    give(town, students(1, 2), classes(1), enrollments(1))
    before = last(town)
    give(town, students(2, 1), classes(1), enrollments(1))

    assert last(town) == before
    assert told(town, "read/sis/2").outcome is Outcome.UNCHANGED


def test_only_differences_are_published(town: Town) -> None:
    give(town, students(*TWENTY), classes(1), enrollments(*TWENTY))
    before = last(town)
    give(town, [*students(*range(1, 19)), *students(19, grade="12")], classes(1), enrollments(*range(1, 20)))

    assert news(town, before) == [("update", "s19"), ("delete", "e20"), ("delete", "s20")]


def test_a_value_that_comes_back_is_news_each_time(town: Town) -> None:
    for grade in ("9", "10", "9", "10"):
        give(town, students(1, grade=grade))

    assert [each.fields["grade"] for each in events(town)] == ["9", "10", "9", "10"]
    assert records(town)["student/s1"].values["grade"] == "10"


def test_in_a_reading_of_changes_what_is_absent_stays(town: Town) -> None:
    give(town, students(*TWENTY), classes(1), enrollments(*TWENTY))
    before = last(town)
    give(town, students(3, grade="12"), full=False)

    assert news(town, before) == [("update", "s3")]


def test_a_reading_of_changes_removes_what_it_says_is_gone(town: Town) -> None:
    give(town, students(1, 2, 3))
    before = last(town)
    give(town, students(2, 77), full=False, deleted=frozenset({"s2", "s77"}))

    assert news(town, before) == [("delete", "s2")]
    assert records(town)["student/s2"].deleted


def test_a_row_of_a_full_reading_that_says_it_is_gone_is_gone(town: Town) -> None:
    give(town, students(1, 2, 3))
    before = last(town)
    give(town, students(1, 2, 3), deleted=frozenset({"s2"}))

    assert news(town, before) == [("delete", "s2")]


def test_a_reference_of_a_reading_of_changes_may_name_what_an_earlier_one_brought(town: Town) -> None:
    give(town, students(1), classes(1), [])
    script = give(town, [], [], enrollments(1), full=False)

    assert script.settled == "accepted"
    assert records(town)["enrollment/e1"].values["student"] == "student/s1"


def test_a_refused_reading_leaves_no_trace_for_the_next(town: Town) -> None:
    give(town, students(*TWENTY))
    give(town, students(1, 2))
    before = last(town)
    give(town, students(*range(1, 20)))

    assert news(town, before) == [("delete", "s20")]


def test_a_removed_record_that_comes_back_is_the_same_record(town: Town) -> None:
    give(town, students(1, 2))
    give(town, students(1))
    give(town, students(1, 2))

    record = records(town)["student/s2"]
    assert (record.rev, record.deleted) == (3, False)
    assert [each.op for each in events(town)][-1] is Op.CREATE


def test_a_source_that_does_not_answer_is_told_once_and_asked_again(town: Town) -> None:
    town.weather.rates["source.down"] = 0.9
    give(town, students(1, 2))

    assert alerts(town).count("source-unreachable") >= 1
    assert news(town) == [("create", "s1"), ("create", "s2")]


def test_a_reading_that_breaks_off_is_read_again_from_its_start(town: Town) -> None:
    town.weather.rates["source.cut"] = 0.5
    give(town, students(*TWENTY), classes(1), enrollments(*TWENTY))

    assert len(events(town)) == 41
    assert len({each.id for each in events(town)}) == 41


@pytest.mark.parametrize("break_", ["\n", "\x00", "\u2028"])
def test_a_row_whose_id_holds_a_control_character_is_set_aside(town: Town, break_: str) -> None:
    rows = [*students(1), (f"s2{break_}x", {"name": "N", "grade": "9", "credits": ""})]
    script = give(town, rows)

    assert script.settled == "accepted"
    assert news(town) == [("create", "s1")]
    assert remarks(town) == [
        "student:3: id: a line break or another control character in it (expected an id)."
        " The row was set aside"
    ]


def test_an_id_may_hold_any_letter_or_blank(town: Town) -> None:
    give(town, [("s é\u00a0文", {"name": "N", "grade": "9", "credits": ""})])

    assert news(town) == [("create", "s é\u00a0文")]


def test_a_row_that_is_too_large_for_the_bus_is_set_aside(town: Town) -> None:
    give(town, students(1, 2))
    before = last(town)
    script = give(
        town, [*students(1, grade="10"), ("s2", {"name": "N" * 900_001, "grade": "", "credits": ""})]
    )

    assert script.settled == "accepted"
    assert news(town, before) == [("update", "s1")]
    [remark] = remarks(town)
    assert remark.startswith("student:3: its event has 900")
    assert remark.endswith(" bytes (at most 900000). The row was set aside")
