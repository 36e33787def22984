"""Two records that are one, through the daemon's own parts: ids, references, systems, and back again."""

from collections.abc import Iterator

import pytest
from simulation.by_hand import outcomes, records, say, told
from simulation.invariants import broken
from simulation.world import Town
from two_ids import act, crosswalk, gone, identity_town, lived, merged, of, other, split, student

from bus.messages import Op, Outcome

ADA = {"name": "Ada", "born": "2010", "phone": "1", "username": "ada"}


@pytest.fixture
def town() -> Iterator[Town]:
    with identity_town() as town:
        yield town


def two_of_one(town: Town) -> None:
    """Ada has an id at each of two schools; the identity provider knows her by the second."""
    lived(
        town,
        other("class", "c", title="Art"),
        student("1", **ADA),
        student("2", **(ADA | {"phone": "2", "username": "ada2", "born": "2011"})),
        other("enrollment", "e", user="2", **{"class": "c"}, role="student"),
        student("acc", system="idp", name="Ada", born="2011", email="ada@x"),
    )
    assert of(town, "student/2").values["email"] == "ada@x"


def test_the_one_that_stays_has_all_ids_and_what_only_the_other_had(town: Town) -> None:
    two_of_one(town)
    merged(town, "student/1", "student/2")
    after = of(town, "student/1")

    assert after.values == ADA | {"email": "ada@x"}
    assert after.links == {"sis": "1", "idp": "idp-1"}
    assert after.aliases == {"sis": ("2",), "idp": ("acc", "idp-2"), "yellowbus": ("student/2",)}
    assert crosswalk(town)["sis:2"] == crosswalk(town)["idp:acc"] == "student/1"
    assert crosswalk(town)["yellowbus:student/2"] == "student/1"
    assert (of(town, "student/2").deleted, of(town, "student/2").into) == (True, "student/1")
    assert broken(town, by_script=False) == []


def test_what_refers_to_the_one_that_leaves_refers_to_the_other(town: Town) -> None:
    two_of_one(town)
    merged(town, "student/1", "student/2")

    assert of(town, "enrollment/e").values["user"] == "student/1"
    assert town.fars["lms"].records["enrollment/e"].fields["user"] == "1"
    assert "student/2" not in town.fars["lms"].records
    lived(town, other("enrollment", "f", user="2", **{"class": "c"}, role="aide", hours=9))
    assert of(town, "enrollment/f").values["user"] == "student/1"


def test_13_the_rows_of_one_person_do_not_fight(town: Town) -> None:
    two_of_one(town)
    merged(town, "student/1", "student/2")
    told_before = len(town.fars["lms"].told["student/1"])
    row = {"born": "2011", "username": "ada2"}
    lived(town, student("2", **(ADA | row | {"phone": "22"}), hours=5))  # where the rows differ: only noted
    lived(town, student("1", **ADA, hours=6))
    assert of(town, "student/1").values["phone"] == "1"
    assert len(town.fars["lms"].told["student/1"]) == told_before

    lived(town, student("2", **(ADA | row | {"name": "Ada B", "phone": "22"}), hours=7))  # where they agreed
    assert of(town, "student/1").values["name"] == "Ada B"
    lived(town, student("1", **ADA, hours=8))
    assert of(town, "student/1").values["name"] == "Ada B"
    lived(town, student("1", **(ADA | {"phone": "11"}), hours=9))
    assert of(town, "student/1").values["phone"] == "11"
    assert Outcome.CONFLICT not in outcomes(town)


def test_29_a_person_merged_at_the_source_stays_when_one_id_goes(town: Town) -> None:
    two_of_one(town)
    merged(town, "student/1", "student/2")
    lived(town, gone("2", hours=5))

    assert not of(town, "student/1").deleted
    assert town.fars["lms"].records["student/1"].fields["name"] == "Ada"
    lived(town, gone("1", hours=6))
    assert of(town, "student/1").deleted
    assert "student/1" not in town.fars["lms"].records


def test_29_the_id_that_stays_speaks_when_the_main_one_goes(town: Town) -> None:
    two_of_one(town)
    merged(town, "student/1", "student/2")
    lived(town, gone("1", hours=5))
    after = of(town, "student/1")

    assert (after.deleted, after.links["sis"], after.values["phone"]) == (False, "2", "2")
    assert town.fars["lms"].records["student/1"].fields["phone"] == "2"
    lived(town, gone("2", hours=6))
    assert of(town, "student/1").deleted


def test_29_one_that_its_source_has_dropped_already_brings_its_ids_too(town: Town) -> None:
    two_of_one(town)
    lived(town, gone("2", hours=5))
    merged(town, "student/1", "student/2")

    assert of(town, "student/1").values["email"] == "ada@x"
    assert crosswalk(town)["idp:acc"] == "student/1"
    split(town, "student/2", "student/1")
    assert of(town, "student/2").deleted
    assert not of(town, "student/1").deleted


def test_a_split_brings_back_what_is_known(town: Town) -> None:
    two_of_one(town)
    before = {key: record.values for key, record in records(town).items()}
    merged(town, "student/1", "student/2")
    lived(town, student("2", **(ADA | {"born": "2011", "username": "ada2", "phone": "22"}), hours=5))
    split(town, "student/2", "student/1")
    now = records(town)

    assert now["student/1"].values == before["student/1"] | {"email": None}
    assert now["student/2"].values == before["student/2"] | {"phone": "22"}
    assert now["enrollment/e"].values["user"] == "student/2"
    assert (now["student/1"].links, dict(now["student/1"].aliases)) == ({"sis": "1", "idp": "idp-1"}, {})
    assert crosswalk(town)["sis:2"] == crosswalk(town)["idp:acc"] == "student/2"
    assert town.fars["lms"].records["student/2"].fields["phone"] == "22"
    lived(town, student("2", **(ADA | {"born": "2011", "username": "ada2", "phone": "3"}), hours=9))
    assert of(town, "student/2").values["phone"] == "3"
    assert of(town, "student/1").values["phone"] == "1"
    assert broken(town, by_script=False) == []


def test_what_has_changed_since_a_person_looked_is_not_merged(town: Town) -> None:
    two_of_one(town)
    merge = act(town, Op.MERGE, "student/1", other="student/2")
    lived(town, student("2", **(ADA | {"phone": "5"}), hours=5), merge)

    assert told(town, "event/7").outcome is Outcome.REFUSED
    assert "look again" in told(town, "event/7").reason
    assert not of(town, "student/2").into


STEPS = (
    "next intake",
    "publish CHANGES",
    "published CHANGES",
    "commit index record",
    "committed index record",
    "publish EVENTS",
    "published EVENTS",
    "publish AUDIT",
    "ack intake",
    "commit index ledger",
)


@pytest.mark.parametrize("op", [Op.MERGE, Op.SPLIT])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_within_a_merge_or_a_split_changes_nothing_of_it(town: Town, step: str, op: Op) -> None:
    two_of_one(town)
    if op is Op.SPLIT:
        merged(town, "student/1", "student/2")
        said = act(town, op, "student/2", other="student/1")
    else:
        said = act(town, op, "student/1", other="student/2")
    say(town, said)
    assert not town.live(lambda name: name == step)
    town.loop.pass_time(3 * 3600)
    assert town.live()

    now = records(town)
    where = "student/1" if op is Op.MERGE else "student/2"
    assert now["student/2"].into == ("student/1" if op is Op.MERGE else "")
    assert now["enrollment/e"].values["user"] == where
    assert crosswalk(town)["sis:2"] == crosswalk(town)["idp:acc"] == where
    assert (now["student/1"].values["email"] is None) == (op is Op.SPLIT)
    assert broken(town, by_script=False) == []
