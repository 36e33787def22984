"""Is it the record, or the system? Only the system opens the breaker."""

from router.core.breaker import CLOSED, FAILURES_MAX, REJECTS_MAX, WINDOW_MS, Rejects, State


def keys(count: int) -> list[str]:
    return [f"student/{number}" for number in range(count)]


def test_failures_in_a_row_open_it_and_time_lets_a_probe_through() -> None:
    breaker, states = CLOSED, []
    for number in range(FAILURES_MAX):
        breaker = breaker.failed(1_000 + number, "503", 10_000)
        states.append(breaker.state(1_500))

    assert states == [State.CLOSED, State.CLOSED, State.OPEN]
    assert breaker.state(10_999 + FAILURES_MAX) is State.HALF_OPEN
    assert (breaker.since_ms, breaker.why) == (1_000, "503")


def test_who_is_not_let_in_opens_it_at_once() -> None:
    assert CLOSED.failed(1, "401", 100, opens=True).state(2) is State.OPEN


def test_a_probe_that_fails_closes_nothing_and_keeps_since_when() -> None:
    breaker = CLOSED.failed(1, "401", 100, opens=True).failed(200, "503", 1_000)

    assert (breaker.state(1_199), breaker.state(1_200)) == (State.OPEN, State.HALF_OPEN)
    assert breaker.since_ms == 1


def test_more_than_a_fifth_and_more_than_twenty_within_a_minute_are_too_many() -> None:
    assert not Rejects().count(0, REJECTS_MAX, keys(REJECTS_MAX))
    assert Rejects().count(0, REJECTS_MAX + 1, keys(REJECTS_MAX + 1))
    assert not Rejects().count(0, 5 * (REJECTS_MAX + 1), keys(REJECTS_MAX + 1))


def test_what_was_rejected_a_minute_ago_counts_no_more() -> None:
    soon, late = Rejects(), Rejects()
    for each in (soon, late):
        each.count(0, 15, keys(15))

    assert soon.count(WINDOW_MS - 1, 15, [f"other/{n}" for n in range(15)])
    assert not late.count(WINDOW_MS, 15, [f"other/{n}" for n in range(15)])


def test_who_is_excused_is_each_one_rejected_within_the_minute() -> None:
    rejects = Rejects()
    rejects.count(0, 15, keys(15))
    rejects.count(1, 30, keys(30))

    assert rejects.excuse() == keys(30)


def test_a_second_no_is_the_records_own_fault() -> None:
    rejects = Rejects()
    rejects.count(0, 30, keys(30))
    rejects.excuse()

    assert not rejects.count(1, 30, keys(30))


def test_a_record_that_has_had_its_second_answer_counts_as_any_other() -> None:
    rejects = Rejects()
    rejects.count(0, 30, keys(30))
    rejects.excuse()
    for key in keys(30):
        rejects.settled(key)

    assert not rejects.any_again
    assert rejects.count(1, 30, keys(30))
