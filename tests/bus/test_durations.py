"""Durations as people write them."""

import pytest

from bus.durations import seconds


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [("250ms", 0.25), ("2 s", 2.0), ("5m", 300.0), ("1.5h", 5400.0), ("60d", 5_184_000.0)],
)
def test_a_number_with_its_unit_is_read(text: str, expected_s: float) -> None:
    assert seconds(text) == expected_s


@pytest.mark.parametrize("wrong", [5, 5.0, "5", "m", "-5m", "5m 3s", None])
def test_anything_else_is_refused_with_what_is_expected(wrong: object) -> None:
    with pytest.raises(ValueError, match="a number with ms, s, m, h or d"):
        seconds(wrong)
