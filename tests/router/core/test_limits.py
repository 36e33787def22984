"""A plan against its limits: a cell flows whole or waits whole."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.limits import Cell, HeldCell, held_cells, most_of
from router.core.rules import Guards, Limit

GUARDS = Guards()
SCHOOLS = {("student", f"school{n}"): 400 for n in range(10)}
NOW_MS = 1_795_532_645_000

cells = st.builds(
    Cell,
    st.sampled_from(["student", "class"]),
    st.sampled_from(["", "north", "south"]),
    st.sampled_from(["create", "update", "delete"]),
)
counts = st.dictionaries(cells, st.integers(1, 900))
populations = st.dictionaries(
    st.tuples(st.sampled_from(["student", "class"]), st.sampled_from(["", "north", "south"])),
    st.integers(0, 5_000),
)
limits = st.builds(Limit, share=st.floats(0, 1), records=st.integers(0, 500))
guards = st.builds(
    Guards,
    creates=limits,
    updates=limits,
    removes=limits,
    district_creates=limits,
    district_updates=limits,
    district_removes=limits,
    population_min=st.integers(0, 300),
)


def removals(**schools: int) -> dict[Cell, int]:
    return {Cell("student", school, "delete"): count for school, count in schools.items()}


def held(counts: dict[Cell, int], guards: Guards = GUARDS, at_ms: int = NOW_MS) -> dict[str, str]:
    """Why each school is held."""
    found = held_cells(counts, SCHOOLS, guards, first=False, at_ms=at_ms)
    return {each.cell.school: each.why for each in found}


def test_a_cell_is_held_beyond_both_the_share_and_the_number() -> None:
    big = {("student", "big"): 1_905, ("student", "small"): 100}

    def is_held(school: str, count: int) -> bool:
        return bool(held_cells(removals(**{school: count}), big, WIDE, first=False, at_ms=NOW_MS))

    assert (is_held("big", 95), is_held("big", 96)) == (False, True)  # 5 %
    assert (is_held("small", 20), is_held("small", 21)) == (False, True)  # 20 records


WIDE = replace(GUARDS, district_removes=Limit(share=1.0, records=100_000))


def test_of_few_records_only_the_number_counts() -> None:
    wide = Limit(share=0.9, records=20)

    assert most_of(wide, 49, GUARDS) == 20
    assert most_of(wide, 50, GUARDS) == 45


def test_one_school_does_not_hold_up_the_others() -> None:
    assert held(removals(school1=399, school2=20), WIDE) == {"school1": "limit"}


def test_many_schools_within_their_limits_may_be_too_much_for_the_district() -> None:
    everywhere = removals(**{f"school{n}": 13 for n in range(10)})  # 130 of 4,000: more than 3 % and than 50

    assert held(everywhere) == {f"school{n}": "district-limit" for n in range(10)}


def test_what_one_school_is_held_for_does_not_count_against_the_district() -> None:
    assert held(removals(school1=399, school2=20, school3=20)) == {"school1": "limit"}


def test_removals_are_held_while_additions_and_edits_flow() -> None:
    plan = {Cell("student", "school1", op): 21 for op in ("create", "update", "delete")}

    found = held_cells(plan, SCHOOLS, GUARDS, first=False, at_ms=NOW_MS)

    assert [each.cell.op for each in found] == ["delete"]


def test_in_a_blackout_window_all_is_held_and_at_its_end_nothing_of_it() -> None:
    guards = replace(GUARDS, blackouts=((NOW_MS, NOW_MS + 1_000),))

    assert held(removals(school1=1), guards) == {"school1": "blackout"}
    assert held(removals(school1=1), guards, NOW_MS - 1) == {}
    assert held(removals(school1=1), guards, NOW_MS + 1_000) == {}


@pytest.mark.parametrize(("first_read", "why"), [("hold", ["first-read"]), ("flow", [])])
def test_the_first_read_of_a_source_is_held_unless_the_configuration_lets_it_flow(
    first_read: str, why: list[str]
) -> None:
    plan = {Cell("student", "school1", "create"): 4_000}

    found = held_cells(plan, {}, replace(GUARDS, first_read=first_read), first=True, at_ms=NOW_MS)

    assert [each.why for each in found] == why


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (
            HeldCell(Cell("student", "library", "delete"), 412, 1_905, "limit", 95),
            "student, school library, removals: 412 of 1,905 records (at most 95 flow by themselves)",
        ),
        (
            HeldCell(Cell("term", "", "create"), 412, 0, "district-limit", 200),
            "term, creates: 412 of 0 records (at most 200 flow by themselves in the whole district)",
        ),
    ],
)
def test_a_held_cell_says_how_many_of_how_many_and_the_limit(cell: HeldCell, text: str) -> None:
    assert str(cell) == text


@given(counts, populations, guards)
def test_a_held_cell_is_held_whole_and_what_flows_is_within_every_limit(
    counts: dict[Cell, int], populations: dict[tuple[str, str], int], guards: Guards
) -> None:
    found = held_cells(counts, populations, guards, first=False, at_ms=NOW_MS)

    held = {each.cell: each.records for each in found}
    assert held.items() <= counts.items()
    cell_limits = {"create": guards.creates, "update": guards.updates, "delete": guards.removes}
    for cell in counts.keys() - held.keys():
        assert counts[cell] <= most_of(cell_limits[cell.op], populations.get(cell[:2], 0), guards)
    district = {
        "create": guards.district_creates,
        "update": guards.district_updates,
        "delete": guards.district_removes,
    }
    for entity in ("student", "class"):
        everybody = sum(many for (of, _), many in populations.items() if of == entity)
        for op, limit in district.items():
            flows = sum(
                count for cell, count in counts.items() if cell not in held and cell[::2] == (entity, op)
            )
            assert flows <= most_of(limit, everybody, guards)


@given(counts, populations, guards)
def test_nothing_is_held_without_a_limit_that_it_is_beyond(
    counts: dict[Cell, int], populations: dict[tuple[str, str], int], guards: Guards
) -> None:
    for each in held_cells(counts, populations, guards, first=False, at_ms=NOW_MS):
        same = sum(count for cell, count in counts.items() if cell[::2] == each.cell[::2])
        assert (each.records if each.why == "limit" else same) > each.most
