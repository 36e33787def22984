"""What the router answers, as tables and lines for people. Pure: an answer in, text out.

Worst first, and each state says what is the matter. Times are the district's, with their UTC offset.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

NEVER: Final = "-"

Answer = Mapping[str, Any]


class Grade(IntEnum):
    """How a system is, worst last."""

    OK = 0
    WAITS = 1
    FAILS = 2


STYLES: Final = {Grade.OK: "green", Grade.WAITS: "yellow", Grade.FAILS: "bold red"}


class Line(NamedTuple):
    """One system in one role, as people see it."""

    grade: Grade
    system: str
    role: str
    state: str
    waiting: int
    since: str
    delivered: int
    unchanged: int
    failed: int
    last: str


def zone_of(status: Answer) -> ZoneInfo:
    """The district's time zone; UTC if the router did not say."""
    return ZoneInfo(str(status.get("timezone") or "UTC"))


def when(at_ms: int, zone: ZoneInfo) -> str:
    """A time for people.

    >>> when(1_795_449_600_000, ZoneInfo("America/New_York"))
    '2026-11-23 14:00:00 -05:00'
    """
    if not at_ms:
        return NEVER
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone).isoformat(" ")[:19] + _offset(
        at_ms, zone
    )


def _offset(at_ms: int, zone: ZoneInfo) -> str:
    return " " + datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone).isoformat()[-6:]


def counted(number: int, what: str) -> str:
    """A number with its word.

    >>> counted(1, "record"), counted(1200, "record")
    ('1 record', '1,200 records')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# -- status


def lines(status: Answer) -> list[Line]:
    """Every system of the district, the worst first."""
    zone = zone_of(status)
    found = [_destination(name, each, zone) for name, each in status["destinations"].items()]
    found += [_source(name, each, zone) for name, each in status["sources"].items()]
    return sorted(found, key=lambda line: (-line.grade, line.role, line.system))


def worst(status: Answer) -> Grade:
    """How the district is as a whole."""
    return max((line.grade for line in lines(status)), default=Grade.OK)


def _destination(name: str, said: Answer, zone: ZoneInfo) -> Line:
    outcomes: Mapping[str, int] = said["outcomes"]
    waiting, retrying, failed = said["waiting"], said["retrying"], outcomes.get("failed", 0)
    if said["unreachable"]:
        grade, state = Grade.FAILS, f"unreachable: {said['unreachable']}"
    elif failed:
        grade, state = Grade.FAILS, f"{counted(failed, 'record')} in the dead letters: nats stream view DEAD"
    elif retrying:
        grade, state = Grade.WAITS, f"{retrying:,} of {waiting:,} tried again"
    elif waiting:
        grade, state = Grade.WAITS, "delivering"
    else:
        grade, state = Grade.OK, "up to date"
    return Line(
        grade,
        name,
        "destination",
        state,
        waiting,
        when(said["oldest_ms"], zone),
        outcomes.get("delivered", 0),
        outcomes.get("unchanged", 0),
        failed,
        when(said["last_delivery_ms"], zone),
    )


def _source(name: str, said: Answer, zone: ZoneInfo) -> Line:
    read = said["last_read"]
    grade, state, last = Grade.OK, "nothing read yet", NEVER
    if read:
        last = when(read["ended_ms"] or read["started_ms"], zone)
        grade, state = _READS.get(read["outcome"], (Grade.OK, ""))
        state = f"{read['name']}: {state or read['outcome']}"
        if read["outcome"] in ("refused", "waiting") and read["remarks"]:
            state += f": {read['remarks'][0]}"
    if said["unreachable"]:
        grade, state = Grade.FAILS, f"unreachable: {said['unreachable']}"
    return Line(grade, name, "source", state, 0, NEVER, 0, 0, 0, last)


_READS: Final = {
    "refused": (Grade.FAILS, "refused whole, nothing was taken"),
    "waiting": (Grade.WAITS, "waits"),
    "reading": (Grade.WAITS, "is being read"),
    "publishing": (Grade.WAITS, "is being published"),
    "accepted": (Grade.OK, "taken"),
    "unchanged": (Grade.OK, "nothing new in it"),
}


def headline(status: Answer) -> str:
    """The district in one line."""
    parts = [
        str(status["district"]),
        when(status["at_ms"], zone_of(status)),
        f"{status['events']:,} events",
        f"{status['changes']:,} changes",
    ]
    if status["outbox"]:
        parts.append(f"{counted(status['outbox'], 'message')} not on the bus yet")
    return ", ".join(parts)


def status_table(status: Answer) -> Table:
    """The status for a terminal."""
    table = Table(title=headline(status), title_justify="left", box=None, pad_edge=False)
    table.add_column("system")
    table.add_column("role")
    table.add_column("state", overflow="fold")
    for column in ("waiting", "since"):
        table.add_column(column, justify="right" if column == "waiting" else "left")
    for column in ("delivered", "unchanged", "failed"):
        table.add_column(column, justify="right")
    table.add_column("last")
    for line in lines(status):
        style = STYLES[line.grade]
        numbers = [f"{n:,}" if line.role == "destination" else "" for n in (line[4], *line[6:9])]
        table.add_row(
            line.system,
            line.role,
            Text(line.state, style=style),
            numbers[0],
            line.since if line.waiting else "",
            *numbers[1:],
            line.last,
        )
    return table


def status_text(status: Answer) -> str:
    """The status in one line, for a log: what waits and fails, and what has been delivered."""
    parts = []
    for line in sorted(lines(status), key=lambda line: (line.role, line.system)):
        if line.role == "source":
            parts.append(f"{line.system}: {line.state}")
        else:
            done = f"{line.delivered:,} delivered"
            rest = [f"{line.waiting:,} waiting"] if line.waiting else []
            rest += [line.state] if line.grade is Grade.FAILS else []
            parts.append(f"{line.system}: {', '.join([done, *rest])}")
    return f"{status['events']:,} events, {status['changes']:,} changes; " + "; ".join(parts)


# -- reads


def reads_table(reads: Sequence[Answer], zone: ZoneInfo) -> Table:
    """What sources read lately."""
    table = Table(box=None, pad_edge=False)
    for column in ("system", "read", "when", "file", "outcome"):
        table.add_column(column, overflow="fold")
    for column in ("rows", "new", "changed", "gone", "set aside"):
        table.add_column(column, justify="right")
    table.add_column("remarks", overflow="fold")
    for read in reads:
        grade, _ = _READS.get(read["outcome"], (Grade.OK, ""))
        remarks = list(read["remarks"])
        more = f" (and {len(remarks) - 1} more)" if len(remarks) > 1 else ""
        table.add_row(
            read["system"],
            str(read["number"] or NEVER),
            when(read["ended_ms"] or read["started_ms"], zone),
            read["name"],
            Text(read["outcome"], style=STYLES[grade]),
            *(f"{read[name]:,}" for name in ("rows", "creates", "updates", "deletes", "set_aside")),
            f"{remarks[0]}{more}" if remarks else "",
        )
    return table
