"""A read that a crash has cut off is brought to its end, however long the router was down."""

from collections import Counter
from collections.abc import Iterator

import pytest
from simulation.by_hand import empty_town, reading, records
from simulation.exports import TWENTY, Rows, dies_at, give, last, news, remarks, students
from simulation.invariants import broken
from simulation.world import Town

import router.sources.publishing
from bus.errors import StreamFull, Unavailable
from router.sources.runner import Waiting, rest_s

DOWN_S = 3 * 3600.0
"""Longer than the server knows ids."""


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def twice(town: Town, stream: str) -> list[str]:
    """Ids that were ever stored there more than once."""
    found = Counter(stored.id for stored in town.server.streams[stream].history)
    return [id_ for id_, count in found.items() if count > 1]


def cut_off(town: Town, step: str, nth: int = 1) -> None:
    """Die before a step, and live again only when the server has forgotten all ids."""
    assert not town.live(dies_at(step, nth)), f"{step} never came {nth} times"
    town.loop.pass_time(DOWN_S)
    assert town.live()


def test_a_batch_that_was_published_before_a_crash_is_not_published_again(town: Town) -> None:
    reading(town, {"student": students(*TWENTY)})
    cut_off(town, "commit sis held")

    assert len(news(town)) == 20
    assert twice(town, "EVENTS") == []
    assert broken(town, by_script=False) == []


def test_of_a_batch_that_was_published_in_part_the_rest_follows(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router.sources.publishing, "BATCH", 8)
    reading(town, {"student": students(*TWENTY)})
    cut_off(town, "commit sis held", 2)

    assert [id_ for _, id_ in news(town)] == [f"s{id_}" for id_ in TWENTY]
    assert twice(town, "EVENTS") == []


def test_removals_that_were_published_before_a_crash_are_not_published_again(town: Town) -> None:
    give(town, students(*TWENTY))
    before = last(town)
    reading(town, {"student": students(*range(1, 19))})
    cut_off(town, "commit sis held")

    assert news(town, before) == [("delete", "s19"), ("delete", "s20")]


def test_the_same_content_in_a_later_read_is_published(town: Town) -> None:
    give(town, students(1, grade="9"))
    give(town, students(1, grade="10"))
    before = last(town)
    reading(town, {"student": students(1, grade="9")})
    cut_off(town, "publish EVENTS")

    assert news(town, before) == [("update", "s1")]
    assert records(town)["student/s1"].values["grade"] == "9"


BAD = ("s99", {"name": "", "grade": "", "credits": ""})


@pytest.mark.parametrize(
    ("rows", "step"),
    [
        ([*students(*TWENTY), BAD], "commit sis staged"),
        ([*students(1), *students(1, grade="12")], "refused sis"),
    ],
)
def test_how_a_read_ended_is_told_once(town: Town, rows: Rows, step: str) -> None:
    script = reading(town, {"student": rows})
    assert not town.live(dies_at(step, after="published ALERTS"))
    town.loop.pass_time(DOWN_S)
    assert town.live()

    assert script.settled
    assert twice(town, "AUDIT") == []
    assert twice(town, "ALERTS") == []


def test_news_without_a_reason_to_wait_does_not_wait_any_more() -> None:
    waiting = Waiting()
    waiting("a.zip", "it still grows")
    waiting("b.zip", "it still grows")
    waiting("a.zip", "")
    waiting("c.zip", "")

    assert waiting == {"b.zip": "it still grows"}


def test_an_export_from_before_the_last_good_read_is_refused_and_undoes_nothing(town: Town) -> None:
    give(town, students(*TWENTY, grade="9"))
    town.loop.pass_time(3600.0)
    give(town, students(*TWENTY, grade="10"))
    before = last(town)
    old = reading(town, {"student": students(*TWENTY, grade="9")})
    old.observed_s = old.at_s - 1800.0
    assert town.live()

    assert news(town, before) == []
    assert {record.values["grade"] for record in records(town).values()} == {"10"}
    assert "older than the last good read" in " ".join(remarks(town))


@pytest.mark.parametrize(
    ("error", "expected_s"),
    [
        (Unavailable("idp: 503"), 5.0),
        (Unavailable("idp: 503", retry_after_s=1.0), 5.0),
        (Unavailable("idp: 429", retry_after_s=120.0), 120.0),
        (Unavailable("idp: 429", retry_after_s=86_400.0), 3_600.0),
        (StreamFull("EVENTS: full"), 5.0),
    ],
)
def test_16_a_system_is_left_alone_as_long_as_it_asks_but_an_hour_at_most(
    error: Unavailable | StreamFull, expected_s: float
) -> None:
    assert rest_s(error) == expected_s
