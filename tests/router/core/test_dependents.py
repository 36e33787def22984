"""What has to wait with what is held: nothing that flows refers to what is not there."""

from hypothesis import given
from hypothesis import strategies as st

from router.core.dependents import Name, Planned, dependents

NAMES: list[Name] = [("student", str(n)) for n in range(8)]

names = st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Planned], list[Planned]]:
    """A plan in two parts: what is held, and the others. One row of a record."""
    rows = [
        Planned(
            number,
            name,
            op := draw(st.sampled_from(["create", "update", "delete"])),
            draw(names) if op != "delete" else (),
            draw(names) if op != "create" else (),
        )
        for number, name in enumerate(draw(st.lists(st.sampled_from(NAMES), unique=True)))
    ]
    is_held = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    return (
        [row for row, held in zip(rows, is_held, strict=True) if held],
        [row for row, held in zip(rows, is_held, strict=True) if not held],
    )


def test_who_refers_to_a_held_create_waits_and_who_refers_to_that_too() -> None:
    guardian = Planned(1, ("guardian", "g"), "create")
    student = Planned(2, ("student", "s"), "create", needs=(("guardian", "g"),))
    enrollment = Planned(3, ("enrollment", "e"), "update", needs=(("student", "s"),))

    assert dependents([guardian], [student, enrollment]) == {2, 3}


def test_who_refers_to_a_record_that_is_there_does_not_wait_for_an_edit_of_it() -> None:
    student = Planned(1, ("student", "s"), "update")
    enrollment = Planned(2, ("enrollment", "e"), "create", needs=(("student", "s"),))

    assert dependents([student], [enrollment]) == set()


def test_what_a_held_removal_or_edit_refers_to_is_not_removed_nor_what_that_refers_to() -> None:
    enrollment = Planned(1, ("enrollment", "e"), "delete", keeps=(("class", "c"),))
    section = Planned(2, ("class", "c"), "delete", keeps=(("course", "m"),))
    course = Planned(3, ("course", "m"), "delete")

    assert dependents([enrollment], [section, course]) == {2, 3}
    assert dependents([enrollment._replace(op="update")], [section, course]) == {2, 3}


def test_who_moves_goes_from_the_old_place_only_with_the_new_one() -> None:
    staff = Planned(1, ("staff", "p"), "create")
    student = Planned(2, ("student", "p"), "delete", needs=(("staff", "p"),))

    assert dependents([staff], [student]) == {2}


@given(plans())
def test_nothing_that_flows_needs_what_waits(plan: tuple[list[Planned], list[Planned]]) -> None:
    held, others = plan
    found = dependents(held, others)

    waits = [*held, *(each for each in others if each.number in found)]
    flows = [each for each in others if each.number not in found]
    absent = {each.name for each in waits if each.op == "create"}
    kept = {name for each in waits if each.op != "create" for name in each.keeps}
    assert len(waits) + len(flows) == len(held) + len(others)
    assert not any(absent & set(each.needs) for each in flows)
    assert not any(each.op == "delete" and each.name in kept for each in flows)


@given(plans())
def test_nothing_waits_without_a_reason(plan: tuple[list[Planned], list[Planned]]) -> None:
    held, others = plan
    found = dependents(held, others)

    waits = [*held, *(each for each in others if each.number in found)]
    for each in others:
        if each.number in found:
            rest = [other for other in waits if other is not each]
            absent = {other.name for other in rest if other.op == "create"}
            kept = {name for other in rest if other.op != "create" for name in other.keeps}
            assert absent & set(each.needs) or (each.op == "delete" and each.name in kept)
