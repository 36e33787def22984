"""What a system has is what it was told, however it keeps it."""

import pytest

from bus.messages import Value
from router.core.comparing import differing, plain


@pytest.mark.parametrize(
    ("told", "has"),
    [(9, "9"), (9.0, 9), ("", None), ((), None), (True, "true"), (("a", "b"), ("a", "b")), ("é", "é")],
)
def test_what_is_only_kept_otherwise_is_the_same(told: Value, has: Value) -> None:
    assert plain(told) == plain(has)


@pytest.mark.parametrize(
    ("told", "has"), [("a", "A"), (1, True), (False, None), (("a", "b"), ("b", "a")), ("a", " a"), (1.5, 1)]
)
def test_what_is_another_value_differs(told: Value, has: Value) -> None:
    assert plain(told) != plain(has)


def test_a_field_that_it_is_not_told_of_does_not_count() -> None:
    assert differing({"name": "Ada", "grade": 9, "email": None}, {"name": "Bea", "grade": "9", "x": "1"}) == [
        "name"
    ]
