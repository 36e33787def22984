"""12: all ids of a source change overnight. The records stay, and no system sees one come or go."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, reading
from simulation.exports import dies_at, last, news, remarks
from simulation.holding import GUARDS, approve, deciding, discard, holds, waiting
from simulation.invariants import broken
from simulation.school import Script
from simulation.world import Town
from two_ids import ENTITIES, HOUR_MS, crosswalk, identity_town, lived, merged, of, student

from router.core.limits import REKEY
from router.core.rules import FieldRule, Type

Rows = list[tuple[str, dict[str, str]]]


@pytest.fixture
def town() -> Iterator[Town]:
    """Classes are recognised by their title; schools are birth years; nothing else than ids is held."""
    with identity_town() as town:
        rules = dict(ENTITIES)
        rules["class"] = replace(rules["class"], match=(("title",),))
        born = FieldRule(name="born", type=Type.TEXT, owner="sis")
        student_ = rules["student"]
        rules["student"] = replace(student_, partition="born", fields={**student_.fields, "born": born})
        town.district = replace(town.district, entities=rules, guards=replace(GUARDS, shrink_max=0.95))
        yield town


def people(prefix: str, *numbers: int, born: str = "2010", **more: str) -> Rows:
    return [
        (f"{prefix}{n}", {"name": f"N{n}", "born": born, "username": f"u{n}", "phone": f"{n}"} | more)
        for n in numbers
    ]


def classes(prefix: str) -> Rows:
    return [(f"{prefix}{n}", {"title": f"T{n}"}) for n in range(6)]


def members(prefix: str, user: str, class_: str, *numbers: int) -> Rows:
    return [
        (f"{prefix}{n}", {"user": f"{user}{n}", "class": f"{class_}{n % 6}", "role": "student"})
        for n in numbers
    ]


def give(town: Town, students: Rows, classes: Rows = [], enrollments: Rows = []) -> Script:  # noqa: B006
    town.loop.pass_time(60)
    tables = {"student": students, "class": classes, "enrollment": enrollments}
    script = reading(town, {name: rows for name, rows in tables.items() if rows})
    assert town.live()
    return script


TEN = range(10)


def rekeyed(town: Town) -> None:
    """All was there, and one has an account; then everything has another id."""
    give(town, people("s", *TEN), classes("c"), members("e", "s", "c", *TEN))
    lived(town, student("acc", system="idp", name="N1", born="2010", email="n1@x", hours=1))
    give(town, people("n", *TEN), classes("d"), members("f", "n", "d", *TEN))


def ops(town: Town) -> Counter[str]:
    return Counter(op for op, _ in waiting(town))


def sent(town: Town) -> dict[str, dict[object, int]]:
    return {name: dict(far.sent) for name, far in town.fars.items()}


def test_12_other_ids_are_a_plan_of_links_that_waits(town: Town) -> None:
    give(town, people("s", *TEN), classes("c"), members("e", "s", "c", *TEN))
    before = last(town)
    give(town, people("n", *TEN), classes("d"), members("f", "n", "d", *TEN))
    [hold] = holds(town)

    assert last(town) == before
    assert ops(town) == {"link": 26}
    assert {each.why for each in hold.cells} == {REKEY}
    assert alerts(town) == ["re-key"]
    assert remarks(town)[0] == "26 records are held: sis-2"


def test_12_approved_the_records_go_on_and_nobody_sees_one_come_or_go(town: Town) -> None:
    rekeyed(town)
    was, before = sent(town), last(town)
    approve(town, "sis-2")

    assert [op for op, _ in news(town, before)] == ["update"] * 26
    assert sent(town) == was
    assert of(town, "student/s1").links["sis"] == "n1"
    assert of(town, "student/s1").aliases["sis"] == ("s1",)
    assert of(town, "student/s1").values["email"] == "n1@x"
    assert of(town, "enrollment/e1").values["user"] == "student/s1"
    assert crosswalk(town)["sis:n1"] == crosswalk(town)["sis:s1"] == "student/s1"
    give(town, people("n", *TEN), classes("d"), members("f", "n", "d", *TEN))
    assert len(holds(town)) == 1
    assert broken(town, by_script=False) == []


def test_12_what_else_has_changed_flows_as_updates(town: Town) -> None:
    give(town, people("s", *TEN))
    give(town, people("n", *TEN, phone="000"))
    approve(town, "sis-2", op="link")

    assert of(town, "student/s3").values["phone"] == "000"
    assert town.fars["lms"].records["student/s3"].fields["phone"] == "000"
    assert set(town.fars["lms"].records) == {f"student/s{n}" for n in TEN}


def test_12_newcomers_and_leavers_stand_beside_it_and_wait_too(town: Town) -> None:
    give(town, people("s", *TEN))
    give(town, people("n", *range(2, 13)))
    assert ops(town) == {"link": 8, "create": 3, "delete": 2}

    approve(town, "sis-2", op="link")
    assert ops(town) == {"create": 3, "delete": 2}
    approve(town, "sis-2")
    assert of(town, "student/s0").deleted and not of(town, "student/n12").deleted
    assert not of(town, "student/s2").deleted


def test_12_twins_that_nobody_can_tell_apart_are_not_linked(town: Town) -> None:
    twins = [("s20", {"name": "T", "born": "2010"}), ("s21", {"name": "T", "born": "2010"})]
    give(town, [*people("s", *TEN), *twins])
    give(town, [*people("n", *TEN), *[(id_.replace("s", "n"), row) for id_, row in twins]])

    assert ops(town) == {"link": 10, "create": 2, "delete": 2}


def test_12_one_school_alone_has_other_ids(town: Town) -> None:
    other = people("s", *range(20, 40), born="2011")
    give(town, [*people("s", *TEN), *other])
    before = last(town)
    give(town, [*people("n", *TEN), *other[1:]])

    assert ops(town) == {"link": 10, "delete": 1}
    assert last(town) == before
    approve(town, "sis-2", school="2010")
    give(town, [*people("n", *TEN), *other[1:]])
    assert news(town, before)[-1] == ("delete", "s20")


def test_leavers_alone_are_no_other_ids(town: Town) -> None:
    give(town, [*people("s", *TEN), *people("s", *range(20, 60), born="2011")])
    give(town, [*people("s", *range(20, 60), born="2011"), *people("x", 70, 71, 72, 73, 74)])

    assert "link" not in ops(town)
    assert "re-key" not in alerts(town)


def test_a_few_that_are_recognised_among_many_are_no_other_ids(town: Town) -> None:
    give(town, people("s", *TEN))
    give(town, people("n", 7, 8, 9, *range(50, 57)))

    assert ops(town) == {"create": 10, "delete": 10}
    assert alerts(town) == ["held-plan"]


def test_12_two_new_ones_that_could_be_one_record_are_not_linked(town: Town) -> None:
    give(town, people("s", *TEN))
    again = [("m3", {"name": "N3", "born": "2010", "username": "u3", "phone": "3"})]
    give(town, [*people("n", *TEN), *again])

    assert ops(town) == {"link": 9, "create": 2, "delete": 1}


def test_12_discarded_it_has_happened_nowhere(town: Town) -> None:
    rekeyed(town)
    was = sent(town)
    discard(town, "sis-2")
    give(town, people("s", *TEN), classes("c"), members("e", "s", "c", *TEN))

    assert sent(town) == was
    assert waiting(town) == []
    assert crosswalk(town)["sis:s1"] == "student/s1" and "sis:n1" not in crosswalk(town)


def test_12_and_back_again(town: Town) -> None:
    rekeyed(town)
    approve(town, "sis-2")
    was = sent(town)
    give(town, people("s", *TEN), classes("c"), members("e", "s", "c", *TEN))
    approve(town, "sis-3")

    assert of(town, "student/s1").links["sis"] == "s1"
    assert of(town, "student/s1").aliases["sis"] == ("n1",)
    assert sent(town) == was


STEPS = (
    "commit sis waiting",
    "committed sis waiting",
    "publish EVENTS",
    "published EVENTS",
    "commit sis held",
    "committed sis held",
    "publish CHANGES",
    "published CHANGES",
    "commit index record",
    "committed index record",
    "ack intake",
)


@pytest.mark.parametrize("step", STEPS)
def test_12_a_crash_while_ids_change_leaves_all_as_it_was_or_linked(town: Town, step: str) -> None:
    rekeyed(town)
    was = sent(town)
    deciding(town, "approve", "sis-2", "", answers=[])
    assert not town.live(dies_at(step))
    town.loop.pass_time(3 * HOUR_MS / 1000)
    assert town.live()
    if holds(town)[-1].is_open:  # it died before the decision was written
        approve(town, "sis-2")

    assert waiting(town) == []
    assert sent(town) == was
    assert all(crosswalk(town)[f"sis:n{n}"] == f"student/s{n}" for n in TEN)
    assert not any(of(town, f"enrollment/e{n}").deleted for n in TEN)
    give(town, people("n", *TEN), classes("d"), members("f", "n", "d", *TEN))
    assert len(holds(town)) == 1
    assert broken(town, by_script=False) == []


def test_a_record_made_one_with_another_meanwhile_takes_the_new_id_along(town: Town) -> None:
    rekeyed(town)
    merged(town, "student/s0", "student/s1")
    approve(town, "sis-2")

    assert crosswalk(town)["sis:n1"] == "student/s0"
    assert not of(town, "student/s0").deleted
