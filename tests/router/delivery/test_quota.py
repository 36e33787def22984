"""Limits of creates and removals an hour."""

from bus.adapter import Delivery
from bus.messages import Op, Outcome, Version
from router.delivery.quota import HOUR_MS, Quota


def delivery(key: str, op: Op = Op.UPDATE) -> Delivery:
    return Delivery(key, key, "student", "users", op, False, Version(1, 1), "", {})


def creates(count: int) -> list[tuple[Delivery, bool]]:
    return [(delivery(f"student/{n}"), True) for n in range(count)]


def removals(count: int) -> list[tuple[Delivery, bool]]:
    return [(delivery(f"student/{n}", Op.DELETE), False) for n in range(count)]


def test_what_is_beyond_a_limit_is_held_and_uses_up_no_attempt() -> None:
    held = Quota(creates=3, removes=2).hold(creates(5), 0)

    assert list(held) == ["student/3", "student/4"]
    assert {(each.outcome, each.tried) for each in held.values()} == {(Outcome.HELD, False)}


def test_an_hour_later_as_many_go_again() -> None:
    quota = Quota(creates=0, removes=2)

    assert len(quota.hold(removals(3), 0)) == 1
    assert len(quota.hold(removals(3), HOUR_MS - 1)) == 3
    assert len(quota.hold(removals(3), HOUR_MS)) == 1


def test_without_a_limit_all_go_and_an_edit_is_never_held() -> None:
    assert Quota(0, 0).hold(creates(9) + removals(9), 0) == {}
    assert Quota(1, 1).hold([(delivery("student/1"), False)] * 9, 0) == {}


def test_what_did_not_go_takes_no_room() -> None:
    quota = Quota(creates=2, removes=0)
    quota.hold(creates(2), 0)
    quota.undo()

    assert quota.hold(creates(2), 1) == {}
    assert len(quota.hold(creates(2), 2)) == 2
