"""Is a read the whole, or a part that looks like it?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.guard import LOST_ROWS_MIN, dangling, shrunk
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


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_a_loss_is_evidence_from_the_limit_on_and_not_before(before: int, after: int) -> None:
    lost = before - after
    too_much = lost > before * 0.20 and (lost >= LOST_ROWS_MIN or after == 0)

    assert bool(shrunk({("student", ""): before}, {("student", ""): after}, GUARDS)) == too_much


def test_one_school_that_is_missing_is_seen_though_the_district_is_large() -> None:
    before = {("student", "north"): 40, ("student", "south"): 4000}
    found = shrunk(before, {("student", "south"): 4000}, GUARDS)

    assert found == ["student, school north: 0 rows, the last good read had 40 (limit 20 % fewer)"]


def test_a_school_that_moves_into_another_is_a_loss_of_its_own() -> None:
    before = {("student", "north"): 40, ("student", "south"): 60}

    assert len(shrunk(before, {("student", "south"): 100}, GUARDS)) == 1


@given(st.integers(1, 500), st.integers(0, 500))
def test_more_rows_that_refer_to_nothing_than_the_limit_are_evidence(rows: int, loose: int) -> None:
    assert bool(dangling({"enrollment": rows}, {"enrollment": loose}, GUARDS)) == (loose > rows * 0.01)


@pytest.mark.parametrize("loose", [{}, {"enrollment": 0}])
def test_without_loose_rows_there_is_nothing_to_say(loose: dict[str, int]) -> None:
    assert dangling({"enrollment": 0}, loose, GUARDS) == []
