"""What the router answers, as tables and lines for people. Pure: an answer in, text out.

Worst first, and each state says what is the matter. Times are the district's, with their UTC offset.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from rich.console import Group
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
    """One system in one role, as people see it. `side`: "from" a source, "to" a destination."""

    grade: Grade
    system: str
    side: str
    state: str
    waiting: int
    delivered: int
    failed: int
    last: str


def zone_of(status: Answer) -> ZoneInfo:
    """The district's time zone; UTC if the router did not say."""
    return ZoneInfo(str(status.get("timezone") or "UTC"))


def when(at_ms: int, zone: ZoneInfo, now_ms: int = 0) -> str:
    """A time for people, with its UTC offset; of the day of `now_ms` only the hour.

    >>> when(1_795_449_600_000, ZoneInfo("America/New_York"))
    '2026-11-23 11:00:00 -05:00'
    """
    if not at_ms:
        return NEVER
    at, now = (datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone) for ms in (at_ms, now_ms))
    text = at.isoformat(" ")
    return f"{text[11:19] if at.date() == now.date() else text[:19]} {text[19:]}"


def counted(number: int, what: str) -> str:
    """A number with its word.

    >>> counted(1, "record"), counted(1200, "record")
    ('1 record', '1,200 records')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# -- status


def lines(status: Answer) -> list[Line]:
    """Every system of the district, the worst first."""

    def time(at_ms: int) -> str:
        return when(at_ms, zone_of(status), status["at_ms"])

    found = [_destination(name, each, time) for name, each in status["destinations"].items()]
    found += [_source(name, each, time) for name, each in status["sources"].items()]
    return sorted(found, key=lambda line: (-line.grade, line.side, line.system))


def worst(status: Answer) -> Grade:
    """How the district is as a whole."""
    return max((line.grade for line in lines(status)), default=Grade.OK)


def _destination(name: str, said: Answer, time: Callable[[int], str]) -> Line:
    outcomes: Mapping[str, int] = said["outcomes"]
    waiting, retrying, failed = said["waiting"], said["retrying"], said["failed"]
    since = f", the oldest since {time(said['oldest_ms'])}"
    if pause := said.get("paused"):
        grade, state = Grade.WAITS, paused_text(pause, time) + (since if waiting else "")
    elif said["unreachable"]:
        grade, state = Grade.FAILS, f"unreachable: {said['unreachable']}"
        if said.get("unreachable_since_ms"):
            state += f"; since {time(said['unreachable_since_ms'])}, next try {time(said['tried_again_ms'])}"
    elif said.get("held"):
        grade, state = Grade.FAILS, f"holds removals: {said['held']}"
    elif failed:
        grade, state = Grade.FAILS, f"{counted(failed, 'record')} in the dead letters: yellowbus failed list"
    elif waiting and (hindered := said.get("hindered")):
        until = f"until {time(hindered['until_ms'])}"
        grade, state = Grade.WAITS, f"waits {until}, because {hindered['why']}{since}"
    elif waiting and said.get("next_ms"):
        grade, state = Grade.WAITS, f"goes at {time(said['next_ms'])}{since}"
    elif retrying:
        grade, state = Grade.WAITS, f"{retrying:,} of {waiting:,} tried again{since}"
    elif behind := said.get("waits_for"):
        told = [
            f"{each['records']:,} for {system}, since {time(each['since_ms'])}"
            for system, each in behind.items()
        ]
        grade, state = Grade.WAITS, f"wait until it is there: {'; '.join(told)}"
    elif waiting:
        grade, state = Grade.WAITS, f"delivering{since}"
    else:
        grade, state = Grade.OK, "up to date"
    states = said.get("states", {})
    if len(states) > 1 or (states and grade is Grade.FAILS):
        state += f" ({states_text(states, time)})"
    if said.get("backfill_offered") and grade < Grade.FAILS:
        grade, state = Grade.WAITS, f"new: it has only what changed since: yellowbus backfill {name}"
    if said.get("mode") == "observe":
        also = "" if grade is Grade.OK else f"; {state}"
        grade = max(grade, Grade.WAITS)  # for a person
        state = f"observe: nothing is sent. See: yellowbus adopt {name}{also}"
    elif said.get("mode") == "add-only":
        state = f"add-only; {state}"
    last = time(said["last_delivery_ms"])
    return Line(grade, name, "to", state, waiting, outcomes.get("delivered", 0), failed, last)


def states_text(states: Mapping[str, Answer], time: Callable[[int], str]) -> str:
    """How many records of a work list are in which state, since when the first of each.

    >>> states_text({"ready": {"records": 2, "since_ms": 5}}, str)
    '2 ready since 5'
    """
    return ", ".join(
        f"{each['records']:,} {state} since {time(each['since_ms'])}" for state, each in states.items()
    )


def paused_text(pause: Answer, time: Callable[[int], str]) -> str:
    """Who has paused a destination, until when, why."""
    end = f"until {time(pause['until_ms'])}" if pause["until_ms"] else "until it is resumed"
    return f"paused by {pause['who']} since {time(pause['since_ms'])} {end}: {pause['why']}"


def _source(name: str, said: Answer, time: Callable[[int], str]) -> Line:
    read = said["last_read"]
    grade, state, last = Grade.OK, "nothing read yet", NEVER
    if read:
        last = time(read["ended_ms"] or read["started_ms"])
        grade, state = _READS.get(read["outcome"], (Grade.OK, ""))
        state = f"{read['name']}: {state or read['outcome']}"
        if read["outcome"] in ("refused", "waiting", "held") and read["remarks"]:
            state += f": {read['remarks'][0]}"
    if heard := said.get("heard"):
        state = f"listens, {counted(said['published'], 'event')} since the start"
        last = time(heard["last_ms"])
    if said["unreachable"]:
        grade, state = Grade.FAILS, f"unreachable: {said['unreachable']}"
    return Line(grade, name, "from", state, 0, 0, 0, last)


_READS: Final = {
    "refused": (Grade.FAILS, "refused whole, nothing was taken"),
    "held": (Grade.FAILS, "held in part: yellowbus holds list"),
    "superseded": (Grade.OK, "a newer read has taken up what was held of it"),
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


def status_view(status: Answer) -> Group:
    """The status for a terminal of 80 columns and more."""
    table = Table(box=None, pad_edge=False)
    table.add_column("system", no_wrap=True)
    for column in ("waiting", "delivered", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("last", no_wrap=True)
    table.add_column("state", overflow="fold")
    for line in lines(status):
        counts = (line.waiting, line.delivered, line.failed)
        table.add_row(
            f"{line.side:4} {line.system}",
            *(f"{count:,}" if line.side == "to" else "" for count in counts),
            line.last,
            Text(line.state, style=STYLES[line.grade]),
        )
    return Group(Text(headline(status), style="bold"), table)


def status_text(status: Answer) -> str:
    """The status in one line, for a log: what waits and fails, and what has been delivered."""
    parts = []
    for line in sorted(lines(status), key=lambda line: (line.side, line.system)):
        if line.side == "from":
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
    table.add_column("system", no_wrap=True)
    table.add_column("when", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("what", overflow="fold")
    for read in reads:
        grade, _ = _READS.get(read["outcome"], (Grade.OK, ""))
        table.add_row(
            read["system"],
            when(read["ended_ms"] or read["started_ms"], zone),
            Text(read["outcome"], style=STYLES[grade]),
            "\n".join(_what(read)),
        )
    return table


def _what(read: Answer) -> Iterator[str]:
    yield f"{read['name']} (read {read['number']})" if read["number"] else read["name"]
    if read["rows"]:
        counts = (("creates", "new"), ("updates", "changed"), ("deletes", "gone"), ("set_aside", "set aside"))
        said = ", ".join(f"{read[name]:,} {word}" for name, word in counts if read[name])
        yield f"{read['rows']:,} rows: {said or 'nothing new'}"
    remarks = read["remarks"]
    if remarks:
        yield f"{remarks[0]} (and {len(remarks) - 1} more)" if len(remarks) > 1 else remarks[0]
