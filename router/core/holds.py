"""A hold: what a guard has stopped of a plan, until a person approves or discards it. Values only.

It is bound to the plan by its hash, and approved in whole or by cells. A newer read supersedes it; time ends
it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from router.core.limits import Cell, HeldCell

OPEN: Final = "open"
APPROVED: Final = "approved"
DISCARDED: Final = "discarded"
SUPERSEDED: Final = "superseded"
EXPIRED: Final = "expired"

OF_A_READ: Final = "read"
"""The kind of hold that guards make. A plan of another kind has a way of its own to be carried out."""


class Act(NamedTuple):
    """What was done with a hold: held, approved, discarded, superseded or expired; by whom ('' : yellowbus)
    and why, and how many records it was about.
    """

    what: str
    at_ms: int
    records: int
    who: str = ""
    why: str = ""


NO_SCHOOL: Final = "-"


class Selection(NamedTuple):
    """Which cells a person means: '' is any. Those without a school are meant by `-`."""

    school: str = ""
    entity: str = ""
    op: str = ""

    def takes(self, cell: Cell) -> bool:
        """A cell is meant if all that was given is so."""
        found = (cell.school or NO_SCHOOL, cell.entity, cell.op)
        return all(wanted in ("", has) for wanted, has in zip(self, found, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold. `read`: the number of the read whose plan it is. `depends`: rows that are within their
    limits, and wait because they need others that are held, by cell. Times in milliseconds UTC.
    """

    id: str
    system: str
    read: int
    name: str
    hash: str
    since_ms: int
    expires_ms: int
    cells: tuple[HeldCell, ...]
    depends: tuple[tuple[Cell, int], ...] = ()
    kind: str = OF_A_READ
    state: str = OPEN
    acts: tuple[Act, ...] = ()

    @property
    def records(self) -> int:
        """How many records wait, those that depend on others too."""
        return self.waiting + sum(count for _, count in self.depends)

    @property
    def waiting(self) -> int:
        """How many records wait for a decision of their own."""
        return sum(each.records for each in self.cells if each.state == OPEN)

    @property
    def is_open(self) -> bool:
        """A person may still decide."""
        return self.state == OPEN

    def chosen(self, selection: Selection) -> list[Cell]:
        """The open cells that are meant."""
        return [each.cell for each in self.cells if each.state == OPEN and selection.takes(each.cell)]

    def decided(self, cells: Iterable[Cell], act: Act, left: Mapping[Cell, int]) -> "Hold":
        """The hold after a person has approved or discarded these cells. `left`: what waits still, by cell.

        A cell of which nothing is left has gone with the others. With the last open cell the hold is closed:
        approved, unless all were discarded.
        """
        wanted = set(cells)
        after = []
        for each in self.cells:
            if each.state == OPEN and (each.cell in wanted or not left.get(each.cell)):
                each = each._replace(state=act.what)
            elif each.state == OPEN:
                each = each._replace(records=left[each.cell])
            after.append(each)
        states = {each.state for each in after}
        state = OPEN if OPEN in states else APPROVED if APPROVED in states else DISCARDED
        own = {each.cell for each in after if each.state == OPEN}
        depends = tuple(sorted((cell, count) for cell, count in left.items() if cell not in own))
        acts = (*self.acts, act)
        return replace(self, cells=tuple(after), depends=depends, state=state, acts=acts)

    def ended(self, state: str, at_ms: int) -> "Hold":
        """The hold after a newer read, or its time, has ended it."""
        return replace(self, state=state, acts=(*self.acts, Act(state, at_ms, self.records)))
