"""What a system has of a field, as far as the hub knows."""

from bus.messages import Record, Seen
from router.core.held import PENDING_MAX, UNDER_WAY_MS, UNKNOWN, handed, has, in_hand, known, pending


def record(seen: Seen | None) -> Record:
    return Record("x/1", "x", 1, 1, False, (), 1, {"f": "c"}, {}, {}, {"s": seen} if seen else {})


def test_it_has_what_it_was_given_last_until_it_says_something_else() -> None:
    seen = Seen(10, ("f",), {"f": "a"}, since={"f": 5})

    assert known(record(seen), "s", {}, "f") == "a"
    assert known(record(seen), "s", {"f": ((6, "b"),)}, "f") == "b"
    assert known(record(seen._replace(since={"f": 7})), "s", {"f": ((6, "b"),)}, "f") == "a"


def test_a_system_that_never_spoke_has_what_it_was_given_or_nobody_knows() -> None:
    assert known(record(None), "s", {"f": ((1, "b"),)}, "f") == "b"
    assert known(record(None), "s", {}, "f") is UNKNOWN
    assert known(record(Seen(1, ("g",))), "s", {}, "f") is UNKNOWN


def test_what_was_said_and_agrees_with_the_record_is_not_kept_twice() -> None:
    assert known(record(Seen(1, ("f",))), "s", {}, "f") == "c"


def test_what_it_is_given_is_added_to_what_is_pending_and_what_it_took_up_goes() -> None:
    seen = Seen(10, ("f",), {}, since={"f": 5}, took={"f": 4})
    given = handed({"f": ((4, "old"), (6, "b"))}, seen, {"f": "c"}, 9)

    assert given == {"f": [(6, "b"), (9, "c")]}
    assert pending(given, seen, "f") == given["f"]


def test_the_same_value_is_given_again_to_a_system_that_has_said_something_else() -> None:
    seen = Seen(10, ("f",), {"f": "x"}, since={"f": 10})

    assert handed({"f": ((6, "b"),)}, seen, {"f": "b"}, 12) == {"f": [(6, "b"), (12, "b")]}


def test_of_a_value_that_is_given_over_and_over_the_first_time_and_the_last_are_kept() -> None:
    given = handed({"f": ((1, "a"),)}, None, {"f": "b"}, 2)
    for at_ms in (3, 4, 5):
        given = handed(given, None, {"f": "b"}, at_ms)

    assert given == {"f": [(1, "a"), (2, "b"), (5, "b")]}


SKEW_MS = 300_000


def test_who_takes_up_at_once_has_the_last_and_who_is_late_may_say_any() -> None:
    seen = Seen(1, ("f",), since={"f": 1}, took={"f": 2})
    at = [SKEW_MS * number for number in range(1, 5)]
    given = {"f": ((2, "a"), *zip(at, "bcd", strict=False))}

    def says(at_ms: int, lag_s: float | None) -> list[object]:
        return [value for _, value in in_hand(given, seen, "f", at_ms, lag_s, SKEW_MS)]

    assert says(at[2], None) == ["c", "d"]
    assert says(at[2] - 1, None) == ["b", "c", "d"]
    assert says(at[2], 1000 * SKEW_MS) == ["b", "c", "d"]
    assert says(at[2], SKEW_MS / 500) == ["c", "d"]


def has_it(given_ms: int, *, at_ms: int, skew_ms: int) -> tuple[bool, bool]:
    """Has a system that said something else at a time for certain what it was given, or what it said?"""
    seen, given = Seen(9, ("f",), {"f": "typed"}, since={"f": at_ms}), {"f": ((given_ms, "given"),)}
    records = [record(seen)._replace(values={"f": value}) for value in ("given", "typed")]
    one, other = [has(each, "s", given, "f", skew_ms) for each in records]
    return one, other


def test_what_was_given_while_an_edit_was_on_its_way_may_have_come_before_it() -> None:
    at_ms = 2 * UNDER_WAY_MS

    assert has_it(at_ms + UNDER_WAY_MS + 1, at_ms=at_ms, skew_ms=0) == (True, False)
    assert has_it(at_ms + 1, at_ms=at_ms, skew_ms=0) == (False, False)
    assert has_it(at_ms, at_ms=at_ms, skew_ms=0) == (False, True)


def test_by_a_clock_that_may_be_wrong_nobody_knows_the_order_of_what_lies_close_together() -> None:
    at_ms = 2 * UNDER_WAY_MS

    assert has_it(at_ms + UNDER_WAY_MS + SKEW_MS + 1, at_ms=at_ms, skew_ms=SKEW_MS) == (True, False)
    assert has_it(at_ms + UNDER_WAY_MS + SKEW_MS, at_ms=at_ms, skew_ms=SKEW_MS) == (False, False)
    assert has_it(at_ms - SKEW_MS + 1, at_ms=at_ms, skew_ms=SKEW_MS) == (False, False)
    assert has_it(at_ms - SKEW_MS, at_ms=at_ms, skew_ms=SKEW_MS) == (False, True)


def test_who_was_given_nothing_has_what_it_says_and_who_never_spoke_nothing() -> None:
    assert has(record(Seen(1, ("f",))), "s", {}, "f")
    assert not has(record(Seen(1, ("f",), {"f": "x"})), "s", {}, "f")
    assert not has(record(None), "s", {}, "f")
    assert has(record(None), "s", {"f": ((UNDER_WAY_MS, "c"),)}, "f")


def test_only_the_newest_are_kept() -> None:
    given: dict[str, list[tuple[int, object]]] = {}
    for at_ms in range(2 * PENDING_MAX):
        given = handed(given, None, {"f": f"{at_ms}"}, at_ms)  # type: ignore[assignment,arg-type]

    assert len(given["f"]) == PENDING_MAX
    assert given["f"][-1] == (2 * PENDING_MAX - 1, f"{2 * PENDING_MAX - 1}")


def test_by_a_clock_that_may_be_wrong_what_was_given_just_before_an_edit_may_have_come_after_it() -> None:
    seen = Seen(1, ("f",), since={"f": 2 * SKEW_MS})

    def says(given_ms: int, skew_ms: int) -> bool:
        return bool(in_hand({"f": ((given_ms, "b"),)}, seen, "f", 9 * SKEW_MS, None, skew_ms))

    assert [says(SKEW_MS, SKEW_MS), says(SKEW_MS + 1, SKEW_MS)] == [False, True]
    assert [says(2 * SKEW_MS, 0), says(2 * SKEW_MS + 1, 0)] == [False, True]
