"""What a test lets the student information system export, row by row, and what came of it."""

import json
from collections.abc import Sequence

from simulation.by_hand import reading
from simulation.life import Hook
from simulation.school import Script
from simulation.world import Town

from bus.codec import decode_event
from bus.messages import Event

Rows = list[tuple[str, dict[str, str]]]
TABLES = ("student", "class", "enrollment")
TWENTY = range(1, 21)


def students(*ids: int, grade: str = "9") -> Rows:
    return [(f"s{id_}", {"name": f"N{id_}", "grade": grade, "credits": ""}) for id_ in ids]


def enrollments(*ids: int, class_: str = "c1") -> Rows:
    return [(f"e{id_}", {"student": f"s{id_}", "class": class_, "role": "student"}) for id_ in ids]


def classes(*ids: int, after: str = "") -> Rows:
    return [(f"c{id_}", {"title": "T", "after": after}) for id_ in ids]


def give(
    town: Town,
    students: Rows,
    classes: Sequence[tuple[str, dict[str, str]]] = (),
    enrollments: Sequence[tuple[str, dict[str, str]]] = (),
    *,
    full: bool = True,
    deleted: frozenset[str] = frozenset(),
) -> Script:
    """A reading comes, and the router takes or refuses it."""
    given = dict(zip(TABLES, (students, classes, enrollments), strict=True))
    return give_tables(town, given, full=full, deleted=deleted)


def give_tables(
    town: Town,
    tables: dict[str, Sequence[tuple[str, dict[str, str]]]],
    *,
    full: bool = True,
    deleted: frozenset[str] = frozenset(),
) -> Script:
    """The same with tables by name."""
    town.loop.pass_time(60)
    script = reading(town, tables, full=full, deleted=deleted)
    assert town.live()
    return script


def dies_at(step: str, nth: int = 1, *, after: str = "") -> Hook:
    """The process dies before it takes that step for the nth time, counted from another step on."""
    seen = 0
    counts = not after

    def hook(name: str) -> bool:
        nonlocal seen, counts
        counts = counts or name == after
        seen += counts and name == step
        return counts and name == step and seen == nth

    return hook


def events(town: Town, after: int = 0) -> list[Event]:
    return [decode_event(s.body) for s in town.server.streams["EVENTS"].messages.values() if s.seq > after]


def news(town: Town, after: int = 0) -> list[tuple[str, str]]:
    return [(each.op.value, each.local_id) for each in events(town, after)]


def remarks(town: Town) -> list[str]:
    """Of the newest read."""
    [(found,)] = town.disk.rows("sis.sqlite", "SELECT remarks FROM read ORDER BY number DESC LIMIT 1")
    return list(json.loads(found))


def last(town: Town) -> int:
    return town.server.streams["EVENTS"].last_seq
