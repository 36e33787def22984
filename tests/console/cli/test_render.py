"""What the router answers, as people see it: the worst first, times in the district's zone."""

import copy
import io
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console, RenderableType
from router_answers import READ, STATUS

from console.cli.render import Grade, headline, lines, reads_table, status_text, status_view, when, worst


def status(**changed: dict[str, Any]) -> dict[str, Any]:
    """All is well but for what is said of these systems."""
    found = copy.deepcopy(STATUS)
    for name, entries in changed.items():
        side = "destinations" if name in found["destinations"] else "sources"
        found[side][name].update(entries)
    return found


def text(shown: RenderableType, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_time_is_the_districts_with_its_offset() -> None:
    assert when(1_795_449_600_000, ZoneInfo("America/New_York")) == "2026-11-23 11:00:00 -05:00"
    assert when(1_782_000_000_000, ZoneInfo("America/New_York")).endswith("-04:00")
    assert when(0, ZoneInfo("UTC")) == "-"


def test_a_time_of_today_is_short_and_yesterdays_is_not() -> None:
    zone = ZoneInfo("America/New_York")
    late = 1_795_449_600_000 + 12 * 3600 * 1000  # 23:00 there, tomorrow in UTC

    assert when(late, zone, 1_795_449_600_000) == "23:00:00 -05:00"
    assert when(late - 24 * 3600 * 1000, zone, late) == "2026-11-22 23:00:00 -05:00"


def test_the_status_fits_a_terminal_of_80_columns() -> None:
    shown = text(status_view(status(idp={"unreachable": "x" * 60, "waiting": 12_345})), width=80)

    assert "to   warehouse" in shown and "12,345" in shown and "up to date" in shown
    assert "…" not in shown


def test_all_well_is_ok() -> None:
    assert worst(STATUS) is Grade.OK
    assert [line.state for line in lines(STATUS)] == [
        "export.zip: taken",
        "up to date",
        "up to date",
    ]


@pytest.mark.parametrize(
    ("system", "said", "grade", "words"),
    [
        ("idp", {"unreachable": "idp: 401"}, Grade.FAILS, "unreachable: idp: 401"),
        ("idp", {"failed": 2}, Grade.FAILS, "2 records in the dead letters"),
        ("idp", {"waiting": 9, "retrying": 4}, Grade.WAITS, "4 of 9 tried again, the oldest since"),
        ("idp", {"waiting": 9}, Grade.WAITS, "delivering"),
        ("idp", {"mode": "observe"}, Grade.WAITS, "observe: nothing is sent. See: yellowbus adopt idp"),
        ("idp", {"mode": "observe", "failed": 2}, Grade.FAILS, "adopt idp; 2 records in the dead letters"),
        ("idp", {"mode": "add-only", "waiting": 9}, Grade.WAITS, "add-only; delivering"),
        ("sis", {"unreachable": "no folder"}, Grade.FAILS, "unreachable: no folder"),
        (
            "sis",
            {"last_read": {**READ, "outcome": "refused", "remarks": ["users.csv:7: cut off"]}},
            Grade.FAILS,
            "refused whole, nothing was taken: users.csv:7: cut off",
        ),
        (
            "sis",
            {"last_read": {**READ, "outcome": "waiting", "remarks": ["it has just come"]}},
            Grade.WAITS,
            "waits: it has just come",
        ),
    ],
)
def test_what_is_the_matter_stands_first_and_in_words(
    system: str, said: dict[str, Any], grade: Grade, words: str
) -> None:
    found = status(**{system: said})

    first = lines(found)[0]
    assert (first.system, first.grade, worst(found)) == (system, grade, grade)
    assert words in first.state
    assert words in text(status_view(found))


def test_failing_stands_before_waiting_and_both_before_ok() -> None:
    found = status(warehouse={"waiting": 3}, sis={"unreachable": "gone"})

    assert [line.system for line in lines(found)] == ["sis", "warehouse", "idp"]


def test_the_headline_says_what_is_not_on_the_bus_yet() -> None:
    assert headline({**STATUS, "outbox": 5}).endswith(
        ", 4,321 events, 4,000 changes, 5 messages not on the bus yet"
    )


def test_one_line_for_a_log_names_what_is_wrong() -> None:
    assert status_text(status(idp={"unreachable": "no answer", "waiting": 7})) == (
        "4,321 events, 4,000 changes; sis: export.zip: taken; idp: 1,200 delivered, 7 waiting,"
        " unreachable: no answer; warehouse: 1,200 delivered"
    )


def test_reads_are_listed_with_their_first_remark() -> None:
    read = {**READ, "system": "sis", "remarks": ["users.csv:1: a BOM", "x", "y"]}

    shown = text(reads_table([read], ZoneInfo("America/New_York")))

    assert "users.csv:1: a BOM (and 2 more)" in shown
    assert "2026-11-23 11:00:01 -05:00" in shown
    assert "1,234" in shown and "accepted" in shown


def test_a_source_that_speaks_by_itself_listens() -> None:
    heard = {"last_ms": 1_795_449_600_000, "duplicates": 0, "unwanted": 0}
    found = status(sis={"heard": heard, "last_read": None, "published": 3})

    [line] = [line for line in lines(found) if line.side == "from"]
    [away] = [line for line in lines(status(sis={"heard": heard, "unreachable": "x"})) if line.side == "from"]

    assert (line.grade, line.state) == (Grade.OK, "listens, 3 events since the start")
    assert "11:00:00" in line.last
    assert (away.grade, away.state) == (Grade.FAILS, "unreachable: x")


def test_a_destination_that_is_down_says_since_when_and_when_it_is_tried_again() -> None:
    down = {"unreachable": "idp: 503", "unreachable_since_ms": 1_795_449_000_000}
    found = lines(status(idp={**down, "tried_again_ms": 1_795_449_630_000}))

    assert found[0].state == ("unreachable: idp: 503; since 10:50:00 -05:00, next try 11:00:30 -05:00")


PAUSED = {"who": "ada", "why": "upgrade", "since_ms": 1_795_449_000_000, "until_ms": 1_795_456_200_000}
WINDOW = {"state": "waiting", "why": "it is outside its window", "since_ms": 0, "until_ms": 1_795_456_200_000}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"paused": PAUSED},
            "paused by ada since 10:50:00 -05:00 until 12:50:00 -05:00: upgrade, the oldest",
        ),
        (
            {"paused": {**PAUSED, "until_ms": 0}},
            "paused by ada since 10:50:00 -05:00 until it is resumed: up",
        ),
        (
            {"hindered": WINDOW},
            "waits until 12:50:00 -05:00, because it is outside its window, the oldest since",
        ),
        ({"next_ms": 1_795_456_200_000}, "goes at 12:50:00 -05:00, the oldest since 10:50:00 -05:00"),
    ],
)
def test_what_waits_says_for_what_and_until_when(more: dict[str, Any], says: str) -> None:
    line = lines(status(idp={"waiting": 3, "oldest_ms": 1_795_449_000_000, **more}))[0]

    assert line.grade is Grade.WAITS
    assert line.state.startswith(says)


def test_each_state_of_a_work_list_is_told_with_its_number_and_since_when() -> None:
    states = {
        "waiting": {"records": 2, "since_ms": 1_795_449_000_000},
        "ready": {"records": 1_000, "since_ms": 1_795_449_060_000},
    }
    line = lines(status(idp={"waiting": 1_002, "oldest_ms": 1_795_449_000_000, "states": states}))[0]

    assert line.state.endswith(" (2 waiting since 10:50:00 -05:00, 1,000 ready since 10:51:00 -05:00)")
