"""Logs are one JSON object a line, and say nothing of people."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from router.log import set_up


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_an_object_with_its_facts() -> None:
    stream = io.StringIO()
    set_up("INFO", stream)

    logging.getLogger("yellowbus").warning("trouble", extra={"what": "idp"})

    entry = json.loads(stream.getvalue())
    assert (entry["message"], entry["what"], entry["level"], entry["priority"]) == (
        "trouble",
        "idp",
        "warning",
        4,
    )
    assert entry["time"].endswith("+00:00")


def test_the_level_is_ours_and_libraries_are_heard_from_warning_on() -> None:
    stream = io.StringIO()
    set_up("DEBUG", stream)

    logging.getLogger("router.intake").debug("ours")
    logging.getLogger("httpx2").info('GET /Users?filter=userName eq "wanda"')
    logging.getLogger("httpx2").warning("theirs")

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours", "theirs"]
