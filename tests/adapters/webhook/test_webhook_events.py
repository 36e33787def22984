"""A body is read whole or not at all, and what is wrong with it is told by event and field."""

import csv
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.webhook.events import TooMany, cell, read_events
from bus.adapter import Said, Unsound
from router.core.rules import Type
from router.core.values import parser

SENT_AT_MS = 1_795_532_646_000


def read(says: Any) -> list[Said]:
    return read_events(json.dumps(says).encode(), 10, SENT_AT_MS)


def event(**also: Any) -> dict[str, Any]:
    return {"table": "enrollments", "data": {"id": "7"}, **also}


def test_one_event_is_a_batch_of_one() -> None:
    assert read(event(id="a1")) == [Said("a1", "enrollments", {"id": "7"})]
    assert read({"events": [event(id="a1")]}) == read(event(id="a1"))
    assert read({"events": []}) == []


def test_an_event_says_what_it_is() -> None:
    [said] = read(event(id=17, op="delete", full=True, occurred_at="2026-11-24T15:04:05.250Z"))

    assert (said.id, said.deleted, said.full, said.occurred_at_ms) == ("17", True, True, 1_795_532_645_250)
    assert said.age_ms == 750


def test_what_does_not_say_when_it_happened_or_says_later_happened_when_it_was_sent() -> None:
    assert read(event())[0].age_ms == 0
    assert read(event(occurred_at="2026-11-24T15:04:06.001Z"))[0].age_ms == 0


@pytest.mark.parametrize("op", ["create", "update"])
def test_creates_and_updates_are_what_a_record_is_now(op: str) -> None:
    assert not read(event(op=op))[0].deleted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", "é"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ([], ""),
        (["a", "b"], "a,b"),
        (["a, b", "c"], '"a, b","c"'),
    ],
)
def test_a_value_is_the_text_that_a_file_would_have(value: Any, text: str) -> None:
    assert read(event(data={"id": 7, "x": value}))[0].values == {"id": "7", "x": text}


@given(st.lists(st.text(min_size=1).filter(lambda text: text.strip() == text and "\x00" not in text)))
def test_a_list_reads_back(items: list[str]) -> None:
    read_list = parser(Type.LIST)
    assert read_list is not None
    text = cell(items)

    try:
        list(csv.reader([text], strict=True))
    except csv.Error:
        return  # a cell of several lines, which no list has
    assert read_list(text) == (tuple(items) or None)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"table": ""}, "table"),
        ({"table": 7}, "table"),
        ({"op": "upsert"}, "op"),
        ({"op": ["update"]}, "op"),
        ({"data": ["S3cret"]}, "data"),
        ({"data": {"x": {"y": "S3cret"}}}, "data.x"),
        ({"data": {"x": ["S3cret", 1]}}, "data.x"),
        ({"data": {"x": "S3cret\ud83d"}}, "data.x"),
        ({"data": {"x": ["S3cret\ud83d"]}}, "data.x"),
        ({"full": "S3cret"}, "full"),
        ({"id": ["S3cret"]}, "id"),
        ({"id": "S3cret" * 100}, "id"),
        ({"id": True}, "id"),
        ({"occurred_at": "S3cret"}, "occurred_at"),
        ({"occurred_at": "2026-11-24T15:04:05"}, "occurred_at"),
        ({"occurred_at": 1}, "occurred_at"),
        ({"ful": True}, "ful"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Unsound) as raised:
        read({"events": [event(), event(**wrong)]})

    assert (raised.value.index, raised.value.field) == (1, field)
    assert "S3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"\xff", "body"),
        (b"[1]", "body"),
        (b"[" * 100_000, "body"),
        (b'{"table": "x", "data": {"id": NaN}}', "body"),
        (b'{"events": {}}', "events"),
        (b'{"events": [1]}', "events"),
        (b'{"events": [], "more": 1}', "more"),
        (b"{}", "table"),
    ],
)
def test_a_body_of_another_shape_is_unsound(body: bytes, field: str) -> None:
    with pytest.raises(Unsound) as raised:
        read_events(body, 10, SENT_AT_MS)

    assert raised.value.field == field


def test_a_name_in_an_answer_is_short_and_in_one_line() -> None:
    with pytest.raises(Unsound) as raised:
        read(event(**{"line\nbreak" * 50: 1}))

    assert len(raised.value.field) < 100
    assert raised.value.field.isprintable()


def test_more_events_than_allowed_are_too_many() -> None:
    assert len(read({"events": [event()] * 10})) == 10
    with pytest.raises(TooMany):
        read({"events": [event()] * 11})
