"""Is a read the whole, or a part that looks like it?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.guard import (
    FEW_SHRINK_MAX,
    LOST_ROWS_MIN,
    ROWS_MIN,
    SCHOOL_ROWS_MIN,
    dangling,
    shrunk,
)
from router.core.rules import Guards

GUARDS = Guards(dangling_max=0.01, shrink_max=0.20)

counts = st.dictionaries(
    st.tuples(st.sampled_from(["student", "class"]), st.sampled_from(["", "north", "south"])),
    st.integers(0, 200),
)


@given(counts, counts)
def test_a_read_that_grew_everywhere_is_whole(
    before: dict[tuple[str, str], int], more: dict[tuple[str, str], int]
) -> None:
    after = {name: before.get(name, 0) + more.get(name, 0) for name in before.keys() | more.keys()}

    assert shrunk(before, after, GUARDS) == []


@given(counts)
def test_a_read_that_lost_all_of_an_entity_is_never_whole(before: dict[tuple[str, str], int]) -> None:
    entities = {entity for (entity, _), count in before.items() if count}
    found = shrunk(before, {}, GUARDS)

    assert entities == {line.partition(":")[0].partition(",")[0] for line in found}


@pytest.mark.parametrize(("school", "few"), [("", ROWS_MIN), ("north", SCHOOL_ROWS_MIN)])
@given(before=st.integers(1, 1000), after=st.integers(0, 1000))
def test_a_loss_is_evidence_from_the_limit_on_and_not_before(
    school: str, few: int, before: int, after: int
) -> None:
    rest = {("student", "south"): 100_000} if school else {}
    lost = before - after
    beyond = lost > before * (0.20 if before >= few else FEW_SHRINK_MAX)
    too_much = beyond and (lost >= LOST_ROWS_MIN or (after == 0 and not school))

    found = shrunk({("student", school): before, **rest}, {("student", school): after, **rest}, GUARDS)
    assert bool(found) == too_much


def test_a_wider_limit_holds_for_few_rows_too() -> None:
    wide = Guards(shrink_max=0.8)

    assert shrunk({("student", ""): 40}, {("student", ""): 10}, wide) == []
    assert shrunk({("student", ""): 40}, {("student", ""): 5}, wide) != []


ORDINARY: list[tuple[str, int, int]] = [
    ("enrollment", 108, 84),
    ("enrollment", 90, 54),
    ("enrollment", 132, 102),
    ("student", 30, 20),
]
"""One day at one school of a district of 20 to 40 students, of our own generator."""


@pytest.mark.parametrize(("entity", "before", "after"), ORDINARY)
def test_an_ordinary_day_at_a_tiny_school_is_no_evidence(entity: str, before: int, after: int) -> None:
    others = {(entity, "south"): 400}

    assert shrunk({(entity, "north"): before, **others}, {(entity, "north"): after, **others}, GUARDS) == []


DISTRICTS = {
    "small": {"term": 2, "class": 119, "course": 91, "demographics": 248, "enrollment": 1855, "org": 4},
    "medium": {"term": 2, "class": 364, "course": 91, "demographics": 778, "enrollment": 5810, "org": 9},
    "large": {"term": 2, "class": 1470, "course": 91, "demographics": 4225, "enrollment": 31045, "org": 21},
}
"""Rows of the districts that we are given to try."""


@pytest.mark.parametrize("district", DISTRICTS)
@pytest.mark.parametrize("schools", [False, True], ids=["whole", "by school"])
def test_a_table_that_was_cut_emptied_or_left_out_is_refused(district: str, schools: bool) -> None:
    rows = DISTRICTS[district]
    parts = [f"school {number}" for number in range(rows["org"] - 1)] if schools else [""]
    before = {(entity, part): count // len(parts) for entity, count in rows.items() for part in parts}
    for entity, count in rows.items():
        emptied = {name: of for name, of in before.items() if name[0] != entity}
        if sum(before.values()) > sum(emptied.values()):
            assert shrunk(before, emptied, GUARDS), entity
        if count >= ROWS_MIN:
            kept = [name for name in before if name[0] == entity][: round(len(parts) * 0.7)]
            cut = {(entity, ""): int(count * 0.7)} if not schools else {name: before[name] for name in kept}
            assert shrunk(before, {**emptied, **cut}, GUARDS), entity


def test_one_school_that_is_missing_is_seen_though_the_district_is_large() -> None:
    before = {("student", "north"): 40, ("student", "south"): 4000}
    found = shrunk(before, {("student", "south"): 4000}, GUARDS)

    assert found == ["student, school north: 0 rows, the last good read had 40 (limit 50 % fewer)"]


def test_a_school_that_moves_into_another_is_a_loss_of_its_own() -> None:
    before = {("student", "north"): 40, ("student", "south"): 60}

    assert len(shrunk(before, {("student", "south"): 100}, GUARDS)) == 1


@given(st.integers(1, 500), st.integers(0, 500))
def test_more_rows_that_refer_to_nothing_than_the_limit_are_evidence(rows: int, loose: int) -> None:
    assert bool(dangling({"enrollment": rows}, {"enrollment": loose}, GUARDS)) == (loose > rows * 0.01)


@pytest.mark.parametrize("loose", [{}, {"enrollment": 0}])
def test_without_loose_rows_there_is_nothing_to_say(loose: dict[str, int]) -> None:
    assert dangling({"enrollment": 0}, loose, GUARDS) == []
