"""A staged plan against its limits: what of it waits for a person, and its hash."""

import hashlib
from collections import Counter
from collections.abc import Container
from typing import Final, NamedTuple

from bus import subjects
from bus.port import Bus
from router.core.dependents import Planned, dependents
from router.core.limits import Cell, HeldCell, held_cells
from router.core.rules import Guards
from router.sources.dependencies import Dependencies, pages
from router.sources.shelf import Shelf
from router.store import Store

HASH_BYTES: Final = 6
"""Of what is held: twelve digits, which a person can type."""


class Judged(NamedTuple):
    """What is held of a plan: cells, the rows of others that need them (by id and by cell), the hash."""

    cells: tuple[HeldCell, ...] = ()
    depends: frozenset[int] = frozenset()
    depending: tuple[tuple[Cell, int], ...] = ()
    hash: str = ""


def cell_of(planned: Planned) -> Cell:
    """The cell that a row is counted in."""
    return Cell(planned.name[0], planned.school, planned.op)


class Judging:
    """Judges the plans of one source."""

    def __init__(
        self,
        *,
        system: str,
        shelf: Shelf,
        store: Store,
        bus: Bus,
        dependencies: Dependencies,
        guards: Guards,
        key: bytes,
    ) -> None:
        self._system = system
        self._shelf = shelf
        self._store = store
        self._bus = bus
        self._dependencies = dependencies
        self._guards = guards
        self._key = key[: hashlib.blake2b.MAX_KEY_SIZE]

    async def judge(self, at_ms: int, rekeyed: Container[str] = ()) -> Judged:
        """What is held of the plan that is staged now. Changes nothing. `rekeyed`: entities whose records
        have other ids.
        """
        counts = {
            Cell(entity, school, op): count for entity, school, op, count in self._shelf.read("plan_cells")
        }
        first = not self._shelf.read("any_held")
        populations = self._shelf.counts("counts_held")
        cells = held_cells(counts, populations, self._guards, first=first, at_ms=at_ms, rekeyed=rekeyed)
        if not cells:
            return Judged()
        held = {each.cell for each in cells}
        depends = [] if len(held) == len(counts) else await self._depends(held)
        numbers = frozenset(each.number for each in depends)
        depending = Counter(cell_of(each) for each in depends)
        hash_ = await self._hash(held, numbers)
        return Judged(tuple(cells), numbers, tuple(sorted(depending.items())), hash_)

    async def _depends(self, cells: set[Cell]) -> list[Planned]:
        # What refers to what is asked of the index: so it must know all that this source has said.
        if newest := await self._bus.last(subjects.EVENTS, subjects.event(self._system, "*", "*")):
            await self._store.reached("events", newest.seq)
        held, others = await self._dependencies.rows(
            "plan_after", lambda row: Cell(row[1], row[4], row[3]) in cells
        )
        found = dependents(held, others)
        return [each for each in others if each.number in found]

    async def _hash(self, cells: set[Cell], numbers: frozenset[int]) -> str:
        """Of all rows that are held, in whichever order: what is held again is known again."""
        total = 0
        keyed = hashlib.blake2b(key=self._key, digest_size=HASH_BYTES)
        async for page in pages(self._shelf, "plan_hashes"):
            for number, entity, school, op, local_id, hash_ in page:
                if number in numbers or Cell(entity, school, op) in cells:
                    digest = keyed.copy()
                    digest.update("\x1f".join((entity, school, op, local_id, "")).encode() + bytes(hash_))
                    total += int.from_bytes(digest.digest())
        return f"{total % (1 << 8 * HASH_BYTES):0{2 * HASH_BYTES}x}"
