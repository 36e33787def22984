"""The status that follows `yellowbus up`, without a terminal."""

import json
from pathlib import Path

import pytest
from router_answers import STATUS

from console.cli.live import View


def test_a_line_comes_when_something_moved_but_not_more_than_one_in_two_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = iter([0.0, 0.5, 1.0, 2.5, 5.0, 6.0])
    with View(log=Path("router.log"), now_s=lambda: next(clock)) as view:
        for events in (1, 2, 3, 3):
            view.show(json.dumps({**STATUS, "events": events}).encode())

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Starting. Ctrl-C stops. The log: router.log"
    assert [line.partition(",")[0] for line in lines[1:-1]] == ["3 events"]
    assert lines[-1] == "Stopped."


def test_why_there_is_nothing_to_show_is_said_at_once_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    with View(log=Path("router.log"), now_s=lambda: 0.0) as view:
        view.tell("the router does not answer")
        view.tell("the router does not answer")

    assert capsys.readouterr().err.count("the router does not answer") == 1
