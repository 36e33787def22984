"""The faults of ids that districts see: reused, renamed, swapped, gone and back."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, reading, records, told
from simulation.invariants import broken
from simulation.world import Town
from two_ids import HOUR_MS, act, crosswalk, gone, identity_town, lived, of, other, student

from bus.messages import Op, Outcome

ADA = {"name": "Ada", "born": "2010", "phone": "1", "username": "ada"}
BEA = {"name": "Bea", "born": "2012", "phone": "9", "username": "bea"}


@pytest.fixture
def town() -> Iterator[Town]:
    with identity_town() as town:
        yield town


def unmatched(town: Town) -> list[str]:
    rows = town.disk.rows("index.sqlite", "SELECT system, local_id FROM unmatched")
    return [f"{system}:{local_id}" for system, local_id in rows]


# -- 11: an id that is given again


def test_11_an_id_given_to_somebody_else_stops_and_waits_for_a_person(town: Town) -> None:
    lived(town, student("7", **ADA))
    lived(town, student("7", **BEA, hours=5))

    assert told(town, "event/2").outcome is Outcome.UNMATCHED
    assert told(town, "event/2").reason == "says another than student/7"
    assert alerts(town) == ["reused-id"]
    assert of(town, "student/7").values["name"] == "Ada"
    assert town.fars["lms"].records["student/7"].fields["name"] == "Ada"
    assert unmatched(town) == ["sis:7"]


def test_11_one_that_was_only_corrected_goes_on(town: Town) -> None:
    lived(town, student("7", **ADA))
    lived(town, student("7", **(ADA | {"name": "Adele", "username": "adele"}), hours=5))

    assert of(town, "student/7").values["name"] == "Adele"
    assert unmatched(town) == []


def test_11_a_person_says_that_it_is_the_same_all_the_same(town: Town) -> None:
    lived(town, student("7", **ADA))
    lived(town, student("7", **BEA, hours=5))
    lived(town, act(town, Op.LINK, "student/7", system="sis", local_id="7"))

    assert of(town, "student/7").values["name"] == "Bea"
    assert unmatched(town) == []


def test_11_a_person_says_that_it_is_a_new_one(town: Town) -> None:
    lived(town, student("7", **ADA))
    lived(town, student("7", **BEA, hours=5))
    lived(town, act(town, Op.UNLINK, "student/7", system="sis", local_id="7"))

    assert of(town, "student/7").deleted
    assert of(town, "student/7~2").values["name"] == "Bea"
    assert crosswalk(town)["sis:7"] == "student/7~2"
    assert unmatched(town) == []
    lms = town.fars["lms"].records
    assert {key: held.fields["name"] for key, held in lms.items()} == {"student/7~2": "Bea"}


def test_11_what_the_system_sets_right_itself_waits_no_more(town: Town) -> None:
    lived(town, student("7", **ADA))
    lived(town, student("7", **BEA, hours=5))
    lived(town, student("7", **(ADA | {"phone": "3"}), hours=6))

    assert of(town, "student/7").values["phone"] == "3"
    assert unmatched(town) == []


def test_11_an_id_of_one_that_has_left_brings_nobody_back_under_its_name(town: Town) -> None:
    lived(town, student("7", **ADA))
    lived(town, gone("7", hours=4))
    lived(town, student("7", **BEA, hours=5))

    assert of(town, "student/7").deleted
    assert unmatched(town) == ["sis:7"]
    lived(town, act(town, Op.UNLINK, "student/7", system="sis", local_id="7"))
    assert of(town, "student/7~2").values["name"] == "Bea"


# -- 14: the same id in other letters


def test_14_an_id_in_other_letters_is_the_same_record(town: Town) -> None:
    sis = town.district.systems["sis"]
    assert sis.source
    entities = {
        name: replace(
            rule,
            id_normalize=("lower",),
            terms=tuple(
                replace(each, normalize=("lower",)) if each.field in ("user", "class") else each
                for each in rule.terms
            ),
        )
        for name, rule in sis.source.entities.items()
    }
    sis = replace(sis, source=replace(sis.source, entities=entities))
    town.district = replace(town.district, systems={**town.district.systems, "sis": sis})
    tables = {"student": [("A1", ADA)], "class": [("4B", {"title": "Art"})]}
    enrolled = {"user": "a1", "class": "4b", "role": "student", "begin": ""}
    reading(town, {**tables, "enrollment": [("E", enrolled)]})
    town.loop.pass_time(HOUR_MS / 1000)
    assert town.live()
    changes = town.server.streams["CHANGES"].last_seq
    tables = {"student": [("a1", ADA)], "class": [("4b", {"title": "Art"})]}
    reading(town, {**tables, "enrollment": [("e", enrolled | {"user": "A1", "class": "4B"})]})
    town.loop.pass_time(HOUR_MS / 1000)
    assert town.live()

    assert set(records(town)) == {"student/a1", "class/4b", "enrollment/e"}
    assert of(town, "enrollment/e").values["class"] == "class/4b"
    assert town.server.streams["CHANGES"].last_seq == changes


# -- memberships without an id


def enrolled(town: Town) -> None:
    lived(
        town,
        other("class", "c", title="Art"),
        student("1", **ADA),
        other("enrollment", "e1", user="1", **{"class": "c"}, role="student", begin="2026-08-01"),
    )


def test_an_enrollment_whose_id_changes_and_nothing_else_is_no_news_to_anybody(town: Town) -> None:
    enrolled(town)
    sent = dict(town.fars["lms"].sent)
    triple = {"user": "1", "class": "c", "role": "student", "begin": "2026-08-01"}
    lived(town, other("enrollment", "e2", **triple, hours=5), gone("e1", entity="enrollment", hours=5))

    assert {key for key in records(town) if key.startswith("enrollment/")} == {"enrollment/e1"}
    assert not of(town, "enrollment/e1").deleted
    assert of(town, "enrollment/e1").links["sis"] == "e2"
    assert town.fars["lms"].sent == sent
    lived(town, other("enrollment", "e2", **(triple | {"begin": "2026-09-01"}), hours=6))
    assert of(town, "enrollment/e1").values["begin"] == "2026-09-01"
    lived(town, gone("e2", entity="enrollment", hours=7))
    assert of(town, "enrollment/e1").deleted


def test_the_old_id_of_a_membership_is_still_its_id(town: Town) -> None:
    enrolled(town)
    triple = {"user": "1", "class": "c", "role": "student", "begin": "2026-08-01"}
    lived(town, other("enrollment", "e2", **triple, hours=5))
    lived(town, other("enrollment", "e3", **triple, hours=6))

    assert crosswalk(town)["sis:e1"] == crosswalk(town)["sis:e3"] == "enrollment/e1"
    assert of(town, "enrollment/e1").aliases["sis"] == ("e2", "e1")
    assert broken(town, by_script=False) == []


def test_another_role_in_the_class_is_another_membership(town: Town) -> None:
    enrolled(town)
    lived(town, other("enrollment", "e2", user="1", **{"class": "c"}, role="aide", hours=5))

    assert of(town, "enrollment/e2").values["role"] == "aide"


# -- swaps, leavers and returners


def test_two_students_who_swap_usernames_stay_who_they_are(town: Town) -> None:
    lived(town, student("1", **ADA), student("2", **BEA))
    lived(town, student("acc", system="idp", name="Ada", born="2010", email="ada@x", hours=2))
    lived(
        town,
        student("1", **(ADA | {"username": "bea"}), hours=5),
        student("2", **(BEA | {"username": "ada"}), hours=5),
    )

    assert of(town, "student/1").values == ADA | {"username": "bea", "email": "ada@x"}
    assert of(town, "student/2").values == BEA | {"username": "ada"}
    assert unmatched(town) == []
    lived(town, student("acc2", system="idp", username="ada", email="bea@x", hours=6))
    assert of(town, "student/2").values["email"] == "bea@x"


def test_a_student_who_leaves_and_returns_has_the_same_key_and_ids(town: Town) -> None:
    lived(town, student("1", **ADA))
    lived(town, student("acc", system="idp", name="Ada", born="2010", email="ada@x", hours=2))
    lived(town, gone("1", hours=5))
    assert "student/1" not in town.fars["lms"].records
    lived(town, student("1", **(ADA | {"phone": "4"}), hours=9))

    after = of(town, "student/1")
    assert (after.deleted, after.values["phone"], after.values["email"]) == (False, "4", "ada@x")
    assert crosswalk(town)["idp:acc"] == "student/1"
    assert town.fars["lms"].records["student/1"].fields["phone"] == "4"
    assert broken(town, by_script=False) == []
