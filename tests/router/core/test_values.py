"""Text is read into one normal form per type, and nothing else comes out of it."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Value
from router.core.rules import Type
from router.core.values import coerce, normal_date, parser

ZONE = ZoneInfo("America/New_York")


def parsed(type_: Type, text: str) -> Value:
    parse = parser(type_, ZONE)
    return parse(text) if parse else text


GOOD: list[tuple[Type, str, Value]] = [
    (Type.TEXT, " as it is ", " as it is "),
    (Type.INTEGER, " +012 ", 12),
    (Type.INTEGER, "-9223372036854775807", -(2**63 - 1)),
    (Type.NUMBER, "1", 1.0),
    (Type.NUMBER, "-0", 0.0),
    (Type.NUMBER, ".5e1", 5.0),
    (Type.BOOLEAN, "TRUE", True),
    (Type.BOOLEAN, " 0 ", False),
    (Type.DATE, "2024-02-29", "2024-02-29"),
    (Type.DATETIME, "2026-11-23T10:00:00-05:00", "2026-11-23T15:00:00Z"),
    (Type.DATETIME, "2026-11-23 10:00:00", "2026-11-23T15:00:00Z"),
    (Type.DATETIME, "2026-07-01T10:00", "2026-07-01T14:00:00Z"),
    (Type.DATETIME, "2026-11-02T00:00:00.000Z", "2026-11-02T00:00:00Z"),
    (Type.LIST, " a , b,,", ("a", "b")),
    (Type.LIST, '"a, b",c', ("a, b", "c")),
    (Type.LIST, " , ", None),
    (Type.REFERENCES, "1,2", ("1", "2")),
]


@pytest.mark.parametrize(("type_", "text", "value"), GOOD)
def test_text_of_a_type_has_one_normal_form(type_: Type, text: str, value: Value) -> None:
    found = parsed(type_, text)

    assert repr(found) == repr(value)  # not ==: 1 is no True, and 0.0 no -0.0


BAD = [
    (Type.INTEGER, "1.0"),
    (Type.INTEGER, "1_0"),
    (Type.INTEGER, "١"),
    (Type.INTEGER, "9223372036854775808"),
    (Type.NUMBER, "nan"),
    (Type.NUMBER, "inf"),
    (Type.NUMBER, "1e999"),
    (Type.NUMBER, "1,5"),
    (Type.BOOLEAN, "yes"),
    (Type.DATE, "2026-02-29"),
    (Type.DATE, "20260228"),
    (Type.DATE, "11/23/2026"),
    (Type.DATETIME, "2026-11-23"),
    (Type.DATETIME, "2026-11-23T25:00:00Z"),
    (Type.DATETIME, "0001-01-01T00:00:00+14:00"),
    (Type.DATETIME, "9999-12-31T23:59:59-14:00"),
    (Type.LIST, '"a'),
]


@pytest.mark.parametrize(("type_", "text"), BAD)
def test_text_of_another_type_is_refused(type_: Type, text: str) -> None:
    with pytest.raises(ValueError):
        parsed(type_, text)


@given(st.sampled_from(Type), st.text(max_size=60).filter(str.strip))
def test_any_text_gives_a_value_or_a_value_error(type_: Type, text: str) -> None:
    try:
        value = parsed(type_, text)
    except ValueError:
        return

    assert value is None or coerce(type_, value, ZONE) == value


items = st.text(st.characters(exclude_characters=',"', codec="utf-8"), min_size=1).map(str.strip).filter(bool)
known: dict[Type, st.SearchStrategy[Value]] = {
    Type.TEXT: st.text(),
    Type.INTEGER: st.integers(-(2**63 - 1), 2**63 - 1),
    Type.NUMBER: st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    Type.BOOLEAN: st.booleans(),
    Type.DATE: st.dates().map(date.isoformat),
    Type.DATETIME: st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda value: value.isoformat().replace("+00:00", "Z")
    ),
    Type.LIST: st.lists(items, min_size=1).map(tuple),
    Type.REFERENCES: st.lists(items, min_size=1).map(tuple),
}


@given(st.sampled_from(list(known)).flatmap(lambda type_: st.tuples(st.just(type_), known[type_])))
def test_what_goes_to_text_comes_back_equal(pair: tuple[Type, Value]) -> None:
    type_, value = pair

    back = parsed(type_, as_text(value))

    assert back == value
    assert type(back) is type(value)


def as_text(value: Value) -> str:
    """As a system would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(
    ("type_", "given", "value"),
    [
        (Type.BOOLEAN, True, True),
        (Type.BOOLEAN, "1", True),
        (Type.NUMBER, 1, 1.0),
        (Type.INTEGER, 1, 1),
        (Type.LIST, ["a", " "], ("a",)),
        (Type.LIST, [], None),
        (Type.TEXT, " ", None),
        (Type.DATETIME, datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23T00:00:00Z"),
        (Type.TEXT, None, None),
    ],
)
def test_what_an_expression_gave_becomes_a_value(type_: Type, given: object, value: Value) -> None:
    found = coerce(type_, given)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        (Type.TEXT, 1),
        (Type.TEXT, True),
        (Type.INTEGER, True),
        (Type.INTEGER, 1.0),
        (Type.INTEGER, 2**63),
        (Type.BOOLEAN, 1),
        (Type.NUMBER, float("nan")),
        (Type.LIST, [1]),
        (Type.TEXT, ["a"]),
        (Type.TEXT, {"a": 1}),
        (Type.TEXT, b"a"),
    ],
)
def test_what_is_not_of_the_type_is_refused(type_: Type, given: object) -> None:
    with pytest.raises(ValueError):
        coerce(type_, given)


def test_a_format_with_hours_keeps_the_time() -> None:
    assert normal_date("11/23/2026 3 PM", "%m/%d/%Y %I %p") == "2026-11-23T15:00:00"
