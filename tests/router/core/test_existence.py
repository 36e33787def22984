"""That a record is there is merged like a field: removal, return, and what meets them."""

import pytest
from field_stories import Story, email, field, rules

from bus.messages import EXISTENCE, Op, Outcome, Value


def test_a_student_who_leaves_and_comes_back_is_the_same_record() -> None:
    story = email()
    story.says("idp", 4, email="new")
    story.says("sis", 5, op=Op.DELETE)
    assert story.record is not None and story.record.deleted
    story.says("sis", 9, op=Op.CREATE, name="Ada B", email="old")

    assert not story.record.deleted
    assert (story.value("name"), story.value("email")) == ("Ada B", "new")
    assert EXISTENCE not in story.record.origins


def test_a_part_of_a_record_does_not_bring_it_back() -> None:
    story = email()
    story.says("sis", 5, op=Op.DELETE)

    assert story.says("sis", 9, full=False, name="Ada B").outcome is Outcome.REFUSED
    assert story.record is not None and story.record.deleted


def test_a_removal_by_another_than_the_owner_is_refused_and_set_right() -> None:
    story = email()
    decision = story.says("lms", 5, op=Op.DELETE)

    assert (decision.outcome, decision.owed) == (Outcome.REFUSED, True)
    assert story.record is not None and not story.record.deleted


@pytest.mark.parametrize(
    "order",
    [
        [("idp", 5, {"email": "new"}), ("sis", 6, None)],
        [("sis", 6, None), ("idp", 5, {"email": "new"})],
    ],
)
def test_a_removal_that_meets_an_edit_is_a_conflict_and_removes(
    order: list[tuple[str, int, dict[str, Value] | None]],
) -> None:
    story = email()
    for system, at_ms, fields in order:
        story.says(system, at_ms, op=Op.UPDATE if fields else Op.DELETE, **(fields or {}))

    assert story.record is not None and story.record.deleted
    assert [(each[0], *each[2:]) for each in story.conflicts] == [((EXISTENCE, "email"), "existence", "sis")]


def test_what_was_taken_up_late_and_is_typed_again_is_an_edit() -> None:
    story = Story(rules(field("email", "idp"), lags_s={"sis": 86_400}), email="old")
    story.says("idp", 5, email="b")
    story.says("idp", 7, email="c")
    given = {"email": ((6, "b"), (8, "c"))}
    outcomes = [
        story.says("sis", at, given=given, name="Ada", email=value).outcome
        for at, value in ((10, "b"), (20, "c"), (30, "b"))
    ]

    assert outcomes == [Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.REFUSED]


def test_a_removal_after_its_system_has_spoken_since_the_edit_is_no_conflict() -> None:
    story = email()
    story.says("idp", 5, email="new")
    story.says("sis", 7, name="Ada", email="old")
    decision = story.says("sis", 9, op=Op.DELETE)

    assert (decision.outcome, story.conflicts) == (Outcome.ACCEPTED, [])
