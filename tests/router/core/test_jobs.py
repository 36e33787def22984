"""A job's facts, its records, and how long it will take."""

import pytest

from bus.codec import encode_state, unpack
from router.core.jobs import Job, Kind, Members, State, job_of, pace_per_s

JOB = Job(
    "replay.1", Kind.REPLAY, "lms", 1, 9, 4, 7, ("class", "student"), "student/1", True, 2.5, "ada", "why", 10
)  # fmt: skip


def test_a_job_is_the_same_after_it_was_on_state() -> None:
    paused = JOB._replace(state=State.PAUSED)

    assert job_of(unpack(encode_state(paused.entries()))) == paused


def test_what_is_no_job_is_said_to_be_none() -> None:
    with pytest.raises(KeyError):
        job_of({"id": "replay.1"})
    with pytest.raises(ValueError, match="nonsense"):
        job_of({**JOB.entries(), "state": "nonsense"})


def test_a_record_that_was_told_of_and_changed_is_one_record() -> None:
    members = Members(9)
    members.add([3, 3, 7])
    members.add([7, 8], told=True)
    members.add([12])  # made since

    assert len(members) == 3
    assert members.after(0, 2) == [(3, False), (7, True)]
    assert members.after(7, 2) == [(8, True)]
    assert members.after(8, 2) == []


@pytest.mark.parametrize(("record", "left"), [(7, [(7, True)]), (4, [])])
def test_one_record_alone_is_in_it_only_if_it_was(record: int, left: list[tuple[int, bool]]) -> None:
    members = Members(9)
    members.add([3, 7])
    members.add([7], told=True)
    members.only(record)

    assert members.after(0, 9) == left


@pytest.mark.parametrize(
    ("commits", "pace"),
    [
        ([], 0.0),
        ([(0, 100)], 0.0),
        ([(0, 100), (60_000, 1), (120_000, 1)], 0.0),
        ([(0, 7), (500, 100), (1_000, 100)], 200.0),
    ],
)
def test_the_pace_is_that_of_busy_times(commits: list[tuple[int, int]], pace: float) -> None:
    assert pace_per_s(commits) == pace
