"""A system that takes up late what it is given, and one that does not."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from simulation.by_hand import alerts, say
from simulation.world import Town
from two_ids import ENTITIES, identity_town, lived, student

HOUR_S = 3600
ADA = {"name": "Ada", "born": "2010", "phone": "1", "username": "ada"}


@pytest.fixture
def town() -> Iterator[Town]:
    """The identity provider owns the e-mail, and everything else only goes in there overnight."""
    with identity_town() as town:
        rule = replace(ENTITIES["student"], lags_s={"idp": 36.0 * HOUR_S})
        town.district = replace(town.district, entities={**ENTITIES, "student": rule})
        lived(town, student("1", **ADA), student("2", **(ADA | {"name": "Bea", "username": "bea"})))
        lived(town, *idp(2, phone="1"))
        yield town


def idp(hours: int, **fields: str) -> list[object]:
    ada = student("acc1", system="idp", name="Ada", born="2010", hours=hours, **fields)
    bea = student("acc2", system="idp", name="Bea", born="2010", hours=hours, **fields)
    return [ada, bea]


def lives(town: Town, hours: float) -> None:
    town.live(until_quiet=False, stop_after_s=hours * HOUR_S)


def given(town: Town) -> None:
    """Both get another phone number."""
    both = [
        student("1", **(ADA | {"phone": "2"}), hours=4),
        student("2", **(ADA | {"name": "Bea", "username": "bea", "phone": "2"}), hours=4),
    ]
    lived(town, *both)


def late(town: Town) -> list[tuple[int]]:
    return town.disk.rows("index.sqlite", "SELECT late FROM takeup")


def test_what_is_not_taken_up_in_its_time_is_one_alert(town: Town) -> None:
    given(town)
    lives(town, 30)
    assert "not-taken-up" not in alerts(town)
    lives(town, 10)

    assert alerts(town).count("not-taken-up") == 1
    assert late(town) == [(1,), (1,)]
    lives(town, 100)
    assert alerts(town).count("not-taken-up") == 1


def test_what_is_taken_up_is_no_alert_and_watched_no_more(town: Town) -> None:
    given(town)
    lives(town, 20)
    say(town, *idp(30, phone="2"))
    lives(town, 40)

    assert "not-taken-up" not in alerts(town)
    assert late(town) == []


def test_the_next_time_it_is_told_again_when_all_was_taken_up_meanwhile(town: Town) -> None:
    given(town)
    lives(town, 40)
    say(town, *idp(40, phone="2"))
    lives(town, 2)
    assert late(town) == []
    lived(town, student("1", **(ADA | {"phone": "3"}), hours=50))
    lives(town, 40)

    assert alerts(town).count("not-taken-up") == 2


def test_of_a_field_that_the_system_never_speaks_of_nobody_can_tell(town: Town) -> None:
    lived(town, student("1", **(ADA | {"username": "ada9"}), hours=4))
    lives(town, 60)

    assert "not-taken-up" not in alerts(town)
    assert late(town) == []
