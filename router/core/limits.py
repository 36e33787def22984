"""A plan against its limits: which of its cells wait for a person.

A cell is what happens to the records of one entity at one school: it flows whole, or waits whole. So one
school's strange export holds up neither the other schools nor its own additions while removals are looked at.
"""

from collections.abc import Container, Mapping
from typing import Final, NamedTuple

from bus.messages import Op
from router.core.rekey import LINK
from router.core.rules import Guards, Limit

BLACKOUT: Final = "blackout"
FIRST_READ: Final = "first-read"
LIMIT: Final = "limit"
DISTRICT: Final = "district-limit"
REKEY: Final = "re-key"

NOUNS: Final = {
    Op.CREATE.value: "creates",
    Op.UPDATE.value: "updates",
    Op.DELETE.value: "removals",
    LINK: "other ids",
}


class Cell(NamedTuple):
    """Which records of a plan are counted together. `school` '' : the entity has none, or the record."""

    entity: str
    school: str
    op: str

    def __str__(self) -> str:
        where = f", school {self.school}" if self.school else ""
        return f"{self.entity}{where}, {NOUNS[self.op]}"


class HeldCell(NamedTuple):
    """A cell that is held: how many records, of how many there are, why, and how many could have flowed.

    `state`: open, approved or discarded.
    """

    cell: Cell
    records: int
    population: int
    why: str
    most: int
    state: str = "open"

    def __str__(self) -> str:
        return f"{self.cell}: {self.records:,} of {self.population:,} records ({self.reason})"

    @property
    def reason(self) -> str:
        """Why, in words."""
        if self.why == BLACKOUT:
            return "no plan flows in a blackout window"
        if self.why == FIRST_READ:
            return "the first read of a source waits for approval"
        if self.why == REKEY:
            return "nearly all ids have changed: are these the same records?"
        where = " in the whole district" if self.why == DISTRICT else ""
        return f"at most {self.most:,} flow by themselves{where}"


Counts = Mapping[Cell, int]
"""How many records of each cell a plan touches."""

Populations = Mapping[tuple[str, str], int]
"""Records by (entity, school), as of the last good read."""


def most_of(limit: Limit, population: int, guards: Guards) -> int:
    """How many records of such a population may flow: the share or the number, whichever is more; of few
    records only the number counts.

    >>> guards = Guards()
    >>> most_of(Limit(share=0.05, records=20), 1_905, guards)
    95
    >>> most_of(Limit(share=0.9, records=20), 40, guards)
    20
    """
    if population < guards.population_min:
        return limit.records
    return max(limit.records, int(population * limit.share))


def held_cells(
    counts: Counts,
    populations: Populations,
    guards: Guards,
    *,
    first: bool,
    at_ms: int,
    rekeyed: Container[str] = (),
) -> list[HeldCell]:
    """The cells that wait for a person. `first`: nothing of this source was ever taken. `rekeyed`: entities
    whose records have other ids; then nothing of them comes or goes without a person.

    All of them within a blackout window, and of a first read (with `first_read: flow`: none). Else those
    beyond their own limit; and all cells of an entity and operation if what is left of them is, in the whole
    district, beyond the district's: what one school is held for does not count against the others.
    """
    whole = ""
    if any(from_ms <= at_ms < until_ms for from_ms, until_ms in guards.blackouts):
        whole = BLACKOUT
    elif first:
        if guards.first_read != "hold":
            return []
        whole = FIRST_READ
    found: dict[Cell, HeldCell] = {}
    left: dict[tuple[str, str], int] = {}
    for cell, count in counts.items():
        population = populations.get((cell.entity, cell.school), 0)
        if cell.op == LINK or (cell.entity in rekeyed and cell.op != Op.UPDATE.value):
            found[cell] = HeldCell(cell, count, population, whole or REKEY, 0)
            continue
        most = 0 if whole else most_of(_limit(guards, cell.op), population, guards)
        if count > most:
            found[cell] = HeldCell(cell, count, population, whole or LIMIT, most)
        else:
            left[cell.entity, cell.op] = left.get((cell.entity, cell.op), 0) + count
    for (entity, op), count in left.items():
        everybody = sum(many for (of, _), many in populations.items() if of == entity)
        most = most_of(_district_limit(guards, op), everybody, guards)
        if count > most:
            for cell in counts:
                if (cell.entity, cell.op) == (entity, op) and cell not in found:
                    population = populations.get((entity, cell.school), 0)
                    found[cell] = HeldCell(cell, counts[cell], population, DISTRICT, most)
    return [found[cell] for cell in sorted(found)]


def _limit(guards: Guards, op: str) -> Limit:
    return {"create": guards.creates, "update": guards.updates, "delete": guards.removes}[op]


def _district_limit(guards: Guards, op: str) -> Limit:
    return {
        "create": guards.district_creates,
        "update": guards.district_updates,
        "delete": guards.district_removes,
    }[op]
