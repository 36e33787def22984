"""What a person has said is no record stays so, until a record matches it or the person undoes that."""

from collections.abc import Iterator

import pytest
from simulation.by_hand import alerts, say, told
from simulation.invariants import broken
from simulation.world import Town
from two_ids import crosswalk, identity_town, lived, of, student

from bus.messages import Event, Op, Outcome, Value

NOBODY = {"name": "Printer", "born": "1"}


@pytest.fixture
def town() -> Iterator[Town]:
    with identity_town() as town:
        lived(town, account(**NOBODY))
        lived(town, dismissal(town))
        yield town


def account(*, hours: int = 0, **fields: Value) -> Event:
    return student("svc", system="idp", hours=hours, **fields)


def dismissal(town: Town, **more: object) -> Event:
    about = {"system": "idp", "local_id": "svc", "who": "kim", "why": "a printer", **more}
    id_ = f"dismiss.{town.server.streams['EVENTS'].last_seq}"
    return Event(id_, "operator", "student", Op.DISMISS, "", {}, False, town.loop.now_ms(), act=about)


def rows(town: Town, table: str) -> list[tuple[str]]:
    return town.disk.rows("index.sqlite", f"SELECT local_id FROM {table}")


def test_news_of_it_stays_dismissed_and_alerts_nobody(town: Town) -> None:
    before = alerts(town)
    lived(town, account(hours=5, **(NOBODY | {"phone": "1"})))

    assert told(town, "event/3").outcome is Outcome.DISMISSED
    assert (rows(town, "unmatched"), rows(town, "dismissed")) == ([], [("svc",)])
    assert alerts(town) == before
    assert broken(town, by_script=False) == []


def test_it_is_linked_when_it_says_something_that_matches(town: Town) -> None:
    lived(town, student("1", name="Ada", born="2010"))
    lived(town, account(hours=5, name="Ada", born="2010", email="ada@x"))

    assert of(town, "student/1").values["email"] == "ada@x"
    assert rows(town, "dismissed") == []


def test_undone_it_waits_again_with_the_newest_that_it_said(town: Town) -> None:
    lived(town, account(hours=5, name="Bea", born="2011", email="bea@x"))
    lived(town, dismissal(town, undo=True))
    assert (rows(town, "unmatched"), rows(town, "dismissed")) == ([("svc",)], [])
    lived(town, student("2", name="Bea", born="2011", hours=6))

    assert of(town, "student/2").values["email"] == "bea@x"


def test_a_person_may_link_it_after_all(town: Town) -> None:
    lived(town, student("1", name="Ada", born="2010"))
    about = {"key": "student/1", "looked_at": 1, "system": "idp", "local_id": "svc", "who": "kim", "why": "x"}
    lived(town, Event("l", "operator", "student", Op.LINK, "", {}, False, town.loop.now_ms(), act=about))

    assert crosswalk(town)["idp:svc"] == "student/1"
    assert rows(town, "dismissed") == []


@pytest.mark.parametrize("step", ["commit index record", "commit index dismissed", "publish STATE"])
def test_a_crash_does_not_bring_it_back(town: Town, step: str) -> None:
    say(town, account(hours=5, **(NOBODY | {"phone": "1"})))
    town.live(lambda name: name == step)
    town.loop.pass_time(3600)
    assert town.live()

    assert (rows(town, "unmatched"), rows(town, "dismissed")) == ([], [("svc",)])
