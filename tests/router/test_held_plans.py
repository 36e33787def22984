"""What a read changes beyond its limits is held whole, with what depends on it, until a person decides.

Faults of standards 7.3 by number. Schools are grades here, and classes for enrollments; three records flow.
"""

from collections.abc import Iterator

import pytest
from simulation.by_hand import alerts, empty_town, records, told
from simulation.clock import START_MS
from simulation.exports import (
    classes,
    enrollments,
    give,
    last,
    news,
    remarks,
    students,
)
from simulation.holding import NINE, TEN, approve, discard, gone, holds, outcome, strict, waiting, without
from simulation.invariants import broken
from simulation.world import Town

from bus.codec import unpack
from bus.messages import Outcome
from router.core.limits import Cell

DAY_S = 86_400.0


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield strict(town)


def test_removals_beyond_a_schools_limit_are_held_whole_and_the_rest_flows(town: Town) -> None:
    give(town, [*NINE, *TEN])
    before = last(town)
    script = give(town, [*without(NINE, 1, 2, 3, 4), *without(TEN, 21, 22), *students(9, grade="9")])

    [hold] = holds(town)
    assert script.settled == "accepted"
    assert news(town, before) == [("create", "s9"), *gone(21, 22)]
    assert waiting(town) == gone(1, 2, 3, 4)
    assert [(each.cell, each.records, each.population) for each in hold.cells] == [
        (Cell("student", "9", "delete"), 4, 8)
    ]
    assert (hold.id, hold.state, outcome(town, 2)) == ("sis-2", "open", "held")
    assert broken(town, by_script=False) == []


def test_a_hold_is_told_once_with_an_alert_and_stands_on_state(town: Town) -> None:
    give(town, [*NINE, *TEN])
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])

    [state] = [s for s in town.server.streams["STATE"].messages.values() if "hold" in s.subject]
    said = unpack(state.body)
    assert alerts(town).count("held-plan") == 1
    assert told(town, "hold/sis-2/1").outcome is Outcome.HELD
    assert told(town, "read/sis/2").outcome is Outcome.HELD
    assert (said["state"], said["hash"]) == ("open", holds(town)[0].hash)
    assert remarks(town)[:2] == [
        "4 records are held: sis-2",
        "student, school 9, removals: 4 of 8 records (at most 3 flow by themselves)",
    ]


def test_held_rows_do_not_advance_and_the_same_plan_again_is_the_same_hold(town: Town) -> None:
    give(town, [*NINE, *TEN])
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])
    before = last(town)
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])

    [hold] = holds(town)
    assert last(town) == before
    assert (hold.id, hold.read, hold.state) == ("sis-2", 3, "open")
    assert (outcome(town, 2), outcome(town, 3)) == ("superseded", "held")
    assert alerts(town).count("held-plan") == 1


def test_what_is_approved_of_one_school_flows_and_the_other_waits(town: Town) -> None:
    give(town, [*NINE, *TEN])
    before = last(town)
    give(town, [*without(NINE, 1, 2, 3, 4), *without(TEN, 21, 22, 23, 24)])
    answer = approve(town, "sis-2", school="9", op="delete")

    [hold] = holds(town)
    assert answer == ""
    assert news(town, before) == gone(1, 2, 3, 4)
    assert waiting(town) == gone(21, 22, 23, 24)
    assert (hold.state, hold.waiting, outcome(town, 2)) == ("open", 4, "held")
    assert told(town, "hold/sis-2/2").who == "ada"
    assert told(town, "hold/sis-2/2").reason == "4 records: they moved"


def test_a_hold_that_is_approved_whole_is_closed_and_its_read_is_accepted(town: Town) -> None:
    give(town, [*NINE, *TEN])
    before = last(town)
    give(town, [*without(NINE, 1, 2, 3, 4), *without(TEN, 21, 22, 23, 24)])
    approve(town, "sis-2")

    assert sorted(news(town, before)) == sorted(gone(1, 2, 3, 4, 21, 22, 23, 24))
    assert (holds(town)[0].state, waiting(town), outcome(town, 2)) == ("approved", [], "accepted")
    assert all(records(town)[f"student/s{id_}"].deleted for id_ in (1, 2, 3, 4))
    give(town, [*without(NINE, 1, 2, 3, 4), *without(TEN, 21, 22, 23, 24)])
    assert outcome(town, 3) == "unchanged"


def test_an_approval_is_for_one_run_and_leaves_the_limit_as_it_was(town: Town) -> None:
    give(town, [*NINE, *TEN])
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])
    approve(town, "sis-2")
    give(town, [*without(TEN, 21, 22, 23, 24)])

    assert [hold.id for hold in holds(town)] == ["sis-2", "sis-3"]


def test_who_refers_to_a_held_create_waits_with_it(town: Town) -> None:
    give(town, NINE, classes(1))
    before = last(town)
    many = students(*range(11, 16), grade="9")
    give(town, [*NINE, *many], classes(1), [*enrollments(1), *enrollments(11, 12)])
    depends = holds(town)[0].depends

    assert news(town, before) == [("create", "e1")]
    assert depends == ((Cell("enrollment", "c1", "create"), 2),)
    approve(town, "sis-2", entity="student")
    assert [id_ for _, id_ in news(town, before)] == ["e1", "s11", "s12", "s13", "s14", "s15", "e11", "e12"]
    assert broken(town, by_script=False) == []


def test_what_needs_a_held_record_cannot_be_approved_without_it(town: Town) -> None:
    many = students(*range(11, 16), grade="9")
    give(town, NINE, classes(1))
    give(town, [*NINE, *many], classes(1), enrollments(*range(11, 16)))
    before = last(town)
    answer = approve(town, "sis-2", entity="enrollment")

    assert "all of it needs records that stay held" in answer
    assert last(town) == before


def test_what_a_held_removal_refers_to_is_not_removed(town: Town) -> None:
    give(town, [*NINE, *TEN], classes(1), enrollments(*range(1, 9)))
    before = last(town)
    give(town, without([*NINE, *TEN], 1), classes(1), enrollments(*range(5, 9)))

    assert news(town, before) == []
    assert sorted(waiting(town)) == sorted([*[("delete", f"e{id_}") for id_ in range(1, 5)], *gone(1)])
    assert holds(town)[0].depends == ((Cell("student", "9", "delete"), 1),)
    approve(town, "sis-2")
    assert news(town, before)[-1] == ("delete", "s1")


def test_what_is_discarded_stays_as_it_was_and_the_next_read_is_held_under_its_own_name(town: Town) -> None:
    give(town, [*NINE, *TEN])
    before = last(town)
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])
    discard(town, "sis-2")

    assert (holds(town)[0].state, waiting(town), last(town)) == ("discarded", [], before)
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])
    assert [(hold.id, hold.state) for hold in holds(town)] == [("sis-2", "discarded"), ("sis-3", "open")]
    assert holds(town)[0].hash == holds(town)[1].hash
    assert last(town) == before


def test_who_needs_what_is_discarded_goes_with_it(town: Town) -> None:
    many = students(*range(11, 16), grade="9")
    give(town, NINE, classes(1))
    before = last(town)
    give(town, [*NINE, *many], classes(1), enrollments(*range(11, 16)))
    discard(town, "sis-2", entity="student")

    assert (holds(town)[0].state, waiting(town), last(town)) == ("discarded", [], before)


def test_a_newer_read_supersedes_a_hold_and_what_was_approved_of_it_stays_approved(town: Town) -> None:
    give(town, [*NINE, *TEN])
    give(town, [*without(NINE, 1, 2, 3, 4), *without(TEN, 21, 22, 23, 24)])
    approve(town, "sis-2", school="9")
    before = last(town)
    give(town, [*without(NINE, 1, 2, 3, 4), *without(TEN, 21, 22, 23, 24, 25)])
    answer = approve(town, "sis-2", school="10")

    assert [(hold.id, hold.state) for hold in holds(town)] == [("sis-2", "superseded"), ("sis-3", "open")]
    assert "it is superseded, so nothing was done (sis-3 is the newest)" in answer
    assert (last(town), waiting(town)) == (before, gone(21, 22, 23, 24, 25))


def test_a_right_export_lets_the_hold_go(town: Town) -> None:
    give(town, [*NINE, *TEN])
    before = last(town)
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])
    give(town, [*NINE, *TEN])

    assert (holds(town)[0].state, waiting(town), last(town)) == ("superseded", [], before)
    assert (outcome(town, 2), outcome(town, 3)) == ("superseded", "unchanged")


def test_a_read_that_is_refused_leaves_the_hold_as_it_is(town: Town) -> None:
    give(town, [*NINE, *TEN])
    give(town, [*without(NINE, 1, 2, 3, 4), *TEN])
    give(town, [*NINE, *NINE[:1], ("s1", {"name": "another", "grade": "9", "credits": ""})])
    answer = approve(town, "sis-2")

    assert outcome(town, 3) == "refused"
    assert (answer, holds(town)[0].state) == ("", "approved")
    assert all(records(town)[f"student/s{id_}"].deleted for id_ in (1, 2, 3, 4))


def test_many_removals_are_approved_only_by_the_plans_hash(town: Town) -> None:
    many = students(*range(1, 101), grade="9")
    give(town, many)
    before = last(town)
    give(town, many[:45])
    hash_ = holds(town)[0].hash

    assert f"--hash {hash_}" in approve(town, "sis-2")
    assert "the plan's hash is another one" in approve(town, "sis-2", typed="0" * 12)
    assert "the plan's hash is another one" in approve(town, "sis-2", typed=hash_[:3])
    assert last(town) == before
    assert approve(town, "sis-2", typed=hash_) == ""
    assert len(news(town, before)) == 55


def test_a_hold_expires_with_an_alert_and_its_rows_wait_for_the_next_read(town: Town) -> None:
    give(town, [*NINE, *TEN])
    give(town, students(1, 2, 3, 4), full=False, deleted=frozenset({"s1", "s2", "s3", "s4"}))
    before = last(town)
    town.loop.pass_time(DAY_S)
    answer = approve(town, "sis-2")

    assert "it is expired, so nothing was done" in answer
    assert (holds(town)[0].state, alerts(town).count("held-plan")) == ("expired", 2)
    give(town, students(25, grade="10"), full=False)
    assert [hold.state for hold in holds(town)] == ["expired", "open"]
    assert (waiting(town), last(town)) == (gone(1, 2, 3, 4), before)


def test_a_first_read_is_held_until_it_is_approved(town: Town) -> None:
    strict(town, first_read="hold")
    give(town, NINE, classes(1), enrollments(1))

    assert last(town) == 0
    assert {each.why for each in holds(town)[0].cells} == {"first-read"}
    approve(town, "sis-1")
    assert len(news(town)) == 10
    assert broken(town, by_script=False) == []


def test_22_a_rollover_in_a_blackout_is_held_whole_and_one_approved_run_brings_it(town: Town) -> None:
    give(town, [*NINE, *TEN], classes(1), enrollments(1, 5))
    window = (START_MS, START_MS + int(30 * DAY_S * 1000))
    before = last(town)
    turned = [*without(NINE, 1, 2, 3, 4), *students(31, 32, 33, 34, grade="9"), *TEN]
    strict(town, blackouts=(window,))
    give(town, turned, classes(1), enrollments(5))

    assert last(town) == before
    assert {(each.why, each.records) for each in holds(town)[0].cells} == {("blackout", 4), ("blackout", 1)}
    town.loop.pass_time(31 * DAY_S)
    give(town, turned, classes(1), enrollments(5))
    assert news(town, before) == [("delete", "e1")]
    assert {(each.why, each.records) for each in holds(town)[-1].cells} == {("limit", 4)}
    assert approve(town, "sis-3") == ""
    assert len(news(town, before)) == 9
    give(town, turned, classes(1), enrollments(5))
    assert outcome(town, 4) == "unchanged"


def test_18_a_full_read_after_deltas_removes_what_has_gone_and_is_guarded(town: Town) -> None:
    give(town, [*NINE, *TEN])
    give(town, students(1, grade="11"), full=False)
    before = last(town)
    give(town, [*students(1, grade="11"), *without(NINE, 1, 2), *without(TEN, 21, 22, 23, 24)])

    assert news(town, before) == gone(2)
    assert waiting(town) == gone(21, 22, 23, 24)


def test_what_a_reading_of_changes_does_not_speak_of_waits_on(town: Town) -> None:
    give(town, [*NINE, *TEN], classes(1))
    four = frozenset({"s1", "s2", "s3", "s4"})
    give(town, students(1, 2, 3, 4), full=False, deleted=four)
    before = last(town)
    give(town, [*students(2, grade="9"), *students(25, grade="11")], full=False)

    assert news(town, before) == [*gone(1, 3, 4), ("update", "s25")]
    assert [hold.state for hold in holds(town)] == ["superseded"]


def test_who_refers_in_a_later_reading_of_changes_to_what_waits_waits_too(town: Town) -> None:
    give(town, NINE, classes(1))
    give(town, students(*range(11, 16)), full=False)
    before = last(town)
    give(town, [], [], enrollments(11), full=False)

    assert last(town) == before
    assert waiting(town)[-1] == ("create", "e11")
    approve(town, "sis-3")
    assert news(town, before)[-1] == ("create", "e11")
    assert broken(town, by_script=False) == []


def test_what_waits_to_be_there_and_is_gone_again_waits_no_more(town: Town) -> None:
    give(town, NINE, classes(1))
    before = last(town)
    give(town, students(*range(11, 16)), full=False)
    give(town, students(11, 12), full=False, deleted=frozenset({"s11", "s12"}))

    assert news(town, before) == [("create", "s13"), ("create", "s14"), ("create", "s15")]
    assert waiting(town) == []


def test_what_waits_and_is_unsound_in_the_next_read_waits_on(town: Town) -> None:
    many = students(*range(11, 16), grade="9")
    give(town, NINE)
    before = last(town)
    give(town, [*NINE, *many])
    give(town, [*NINE, ("s11", {"name": "", "grade": "9", "credits": ""}), *many[1:]])

    assert last(town) == before
    assert sorted(waiting(town)) == [("create", f"s{id_}") for id_ in range(11, 16)]
