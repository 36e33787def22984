"""A hold from its beginning to its end."""

import pytest

from router.core.holds import Act, Hold, Selection
from router.core.limits import Cell, HeldCell

NORTH = Cell("student", "north", "delete")
SOUTH = Cell("student", "south", "delete")
CLASSES = Cell("class", "north", "create")
BEHIND = Cell("enrollment", "north", "delete")

HOLD = Hold(
    id="sis-2",
    system="sis",
    read=2,
    name="export.zip",
    hash="a1b2c3d4e5f6",
    since_ms=0,
    expires_ms=1,
    cells=tuple(HeldCell(cell, 40, 400, "limit", 20) for cell in (CLASSES, NORTH, SOUTH)),
    depends=((BEHIND, 7),),
)


@pytest.mark.parametrize(
    ("selection", "cells"),
    [
        (Selection(), [CLASSES, NORTH, SOUTH]),
        (Selection(school="north"), [CLASSES, NORTH]),
        (Selection(school="-"), []),
        (Selection(op="delete"), [NORTH, SOUTH]),
        (Selection(entity="student", school="south"), [SOUTH]),
        (Selection(school="nowhere"), []),
    ],
)
def test_a_person_means_the_cells_in_which_all_is_so_that_was_said(
    selection: Selection, cells: list[Cell]
) -> None:
    assert HOLD.chosen(selection) == cells


def test_what_was_approved_is_approved_and_the_rest_is_open_still() -> None:
    after = HOLD.decided([NORTH], Act("approved", 5, 40, "ada", "why"), {CLASSES: 40, SOUTH: 40, BEHIND: 7})

    assert [(each.cell, each.state) for each in after.cells] == [
        (CLASSES, "open"),
        (NORTH, "approved"),
        (SOUTH, "open"),
    ]
    assert (after.state, after.waiting, after.records, after.depends) == ("open", 80, 87, ((BEHIND, 7),))
    assert after.chosen(Selection()) == [CLASSES, SOUTH]


def test_rows_of_an_approved_cell_that_need_others_are_counted_with_what_depends() -> None:
    after = HOLD.decided([NORTH], Act("approved", 5, 30), {CLASSES: 40, SOUTH: 40, NORTH: 10})

    assert after.depends == ((NORTH, 10),)


def test_a_cell_that_lost_rows_with_what_was_discarded_has_fewer_and_without_rows_goes_with_it() -> None:
    after = HOLD.decided([NORTH], Act("discarded", 5, 100), {SOUTH: 15})

    assert [(each.cell, each.records, each.state) for each in after.cells] == [
        (CLASSES, 40, "discarded"),
        (NORTH, 40, "discarded"),
        (SOUTH, 15, "open"),
    ]


@pytest.mark.parametrize(
    ("acts", "state"),
    [
        (["approved", "approved"], "approved"),
        (["discarded", "discarded"], "discarded"),
        (["discarded", "approved"], "approved"),
        (["approved", "discarded"], "approved"),
    ],
)
def test_a_hold_without_an_open_cell_is_approved_unless_all_was_discarded(
    acts: list[str], state: str
) -> None:
    first, second = acts
    part = HOLD.decided([NORTH, SOUTH], Act(first, 5, 80), {CLASSES: 40})
    whole = part.decided([CLASSES], Act(second, 6, 40), {})

    assert (part.state, whole.state) == ("open", state)
    assert [act.what for act in whole.acts] == acts


def test_a_hold_that_ends_says_how_much_it_still_held() -> None:
    ended = HOLD.ended("superseded", 9)

    assert (ended.state, ended.is_open, ended.acts) == ("superseded", False, (Act("superseded", 9, 127),))


def test_what_is_at_no_school_can_be_meant_alone() -> None:
    nowhere = Cell("course", "", "delete")

    assert Selection(school="-").takes(nowhere) and Selection().takes(nowhere)
    assert not Selection(school="-").takes(NORTH) and not Selection(school="north").takes(nowhere)
