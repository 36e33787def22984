"""A job: records that go on a destination's work list without a change of them, at a pace of their own.

It is bounded at its start: by a window of time, or by the newest change there is. Pure.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import compress
from typing import Any, Final, NamedTuple


class Kind(StrEnum):
    """Why there is a job. Its id begins with it."""

    REPLAY = "replay"
    BACKFILL = "backfill"
    RULES = "rules"
    COMPARE = "compare"


class State(StrEnum):
    """How a job is. The last two are its end."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


OPEN: Final = frozenset({State.RUNNING, State.PAUSED})


class Job(NamedTuple):
    """What a person asked for. `from_ms`, `until_ms`: the window, [from, until); `first_seq`, `last_seq`: its
    changes; the others have all records. `entities`, `record` (a key): only these ('' : all). `force`: also
    what the ledger says is there; of a compare, put what differs. `rate_per_s` 0: the destination's own pace.
    `approved`: a person has seen that it is beyond its limits.
    """

    id: str
    kind: Kind
    system: str
    from_ms: int
    until_ms: int
    first_seq: int
    last_seq: int
    entities: tuple[str, ...]
    record: str
    force: bool
    rate_per_s: float
    who: str
    why: str
    at_ms: int
    state: State = State.RUNNING
    approved: bool = False

    def entries(self) -> dict[str, Any]:
        """For STATE, the index, and whoever asks."""
        return self._asdict()


def job_of(entries: Mapping[str, Any]) -> Job:
    """The job in its entries. Raises KeyError, ValueError, TypeError for what is none."""
    needed, known = {*Job._fields} - {*Job._field_defaults}, {*Job._fields}
    found = Job(**{name: entries[name] for name in needed | ({*entries} & known)})
    return found._replace(
        kind=Kind(found.kind), state=State(found.state), entities=tuple(map(str, found.entities))
    )


class Members:
    """Which records a job is about: a byte for each record of the index, by its number there.

    >>> members = Members(5)
    >>> members.add([2, 4]); members.add([4], told=True)
    >>> len(members), members.after(0, 9), members.after(3, 9)
    (2, [(2, False), (4, True)], [(4, True)])
    """

    def __init__(self, last: int) -> None:
        self._marks = bytearray(last + 1)
        self._order: array[int] | None = None

    def add(self, records: Iterable[int], *, told: bool = False) -> None:
        """`told`: the destination took a delivery of these in the window."""
        marks, mark, last = self._marks, 2 if told else 1, len(self._marks)
        for record in records:
            if record < last:
                marks[record] |= mark
        self._order = None

    def only(self, record: int) -> None:
        """Leave out all others."""
        mark = self._marks[record]
        self._marks = bytearray(len(self._marks))
        self._marks[record] = mark
        self._order = None

    def __len__(self) -> int:
        return len(self._marks) - self._marks.count(0)

    def after(self, record: int, most: int) -> list[tuple[int, bool]]:
        """The next ones, and whether the destination was told of them in the window."""
        if self._order is None:
            self._order = array("I", compress(range(len(self._marks)), self._marks))
        first = bisect_right(self._order, record)
        return [(number, self._marks[number] > 1) for number in self._order[first : first + most]]


class Counts(NamedTuple):
    """Of a job's records, before it begins: `there` as they are now, so far as the ledger knows; `absent`:
    not there, and not to be; `due`: not there as they are now. `send`: how many would be sent.
    """

    records: int = 0
    there: int = 0
    absent: int = 0
    due: int = 0
    send: int = 0


def pace_per_s(commits: Iterable[tuple[int, int]], gap_max_ms: int = 5_000) -> float:
    """How many records a second a destination took while it was busy; 0: nobody can tell.

    `commits`: (when in ms, how many), oldest first. A long time without one is no work.

    >>> pace_per_s([(0, 10), (1_000, 50), (2_000, 50), (90_000, 1)])
    50.0
    """
    took_ms = records = 0
    before_ms: int | None = None
    for at_ms, count in commits:
        if before_ms is not None and 0 < at_ms - before_ms <= gap_max_ms:
            took_ms += at_ms - before_ms
            records += count
        before_ms = at_ms
    return records * 1000 / took_ms if took_ms else 0.0
