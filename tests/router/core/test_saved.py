"""Why an event came to nothing."""

from bus.messages import Event, Op, Seen, Value
from router.core.saved import ECHO, REPEAT, SECOND_PATH, why_unchanged

VALUES: dict[str, Value] = {"name": "Ada", "email": "new"}


def why(before: Seen | None, given: dict[str, list[tuple[int, Value]]] | None = None, **fields: Value) -> str:
    event = Event("1", "idp", "student", Op.UPDATE, "7", fields or VALUES, True, 9)
    return why_unchanged(before, event, VALUES, given or {})


def test_who_says_what_it_said_before_repeats_it() -> None:
    assert why(Seen(1, ("name", "email"))) == REPEAT
    assert why(Seen(1, ("name", "email"), {"email": "old"}), name="Ada", email="old") == REPEAT


def test_who_says_what_it_was_told_echoes_it() -> None:
    assert why(Seen(1, ("name", "email"), {"email": "old"}), {"email": [(5, "new")]}) == ECHO
    assert why(None, {"email": [(5, "new")], "name": [(5, "Ada")]}) == ECHO


def test_who_says_what_another_said_first_is_a_second_path() -> None:
    assert why(Seen(1, ("name", "email"), {"email": "old"})) == SECOND_PATH
    assert why(Seen(1, ("name", "email"), {"email": "old"}), {"email": [(5, "older")]}) == SECOND_PATH
    assert why(Seen(1, ("name",))) == SECOND_PATH
