"""Somebody who looks at what is held, and lets it go: all of it, or cell by cell."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from bus.errors import BusError, Unavailable
from router.core.holds import Selection
from router.core.rules import District, Limit
from router.pipeline import Pipeline
from router.sources.runner import SourceRunner

TEN_YEARS_S: Final = 3.2e8


class Approvers:
    """Limits that some towns have, and who approves there."""

    def __init__(self, chance: Random, trace: Callable[[str], None]) -> None:
        self._chance = chance
        self._trace = trace
        self._at_work = False

    def limited(self, district: District, *, often: bool) -> District:
        """The district; in some towns with limits that a few edits exceed, and first reads that are held."""
        if not often or self._chance.random() > 0.3:
            return district
        self._at_work = True
        few = Limit(share=0.0, records=self._chance.choice((0, 1, 2)))
        many = Limit(share=1.0, records=1_000)
        guards = replace(
            district.guards,
            creates=self._chance.choice((few, many)),
            updates=self._chance.choice((few, many)),
            removes=few,
            first_read=self._chance.choice(("hold", "flow")),
            approval_s=TEN_YEARS_S,
        )
        return replace(district, guards=guards)

    async def decide(self, pipeline: Pipeline) -> bool:
        """Approve something of what is held; False: nothing is, or there is nobody."""
        if not self._at_work:
            return False
        runners = [each for each in pipeline.sources.values() if isinstance(each, SourceRunner)]
        held = [(runner, hold) for runner in runners if (hold := runner.holds.newest()) and hold.is_open]
        if not held:
            return False
        runner, hold = self._chance.choice(held)
        cell = self._chance.choice([each.cell for each in hold.cells if each.state == "open"])
        whole = self._chance.random() < 0.5
        part = Selection() if whole else Selection(cell.school, cell.entity, cell.op)
        try:
            await runner.approve(hold.id, hold.hash, part, "ada", "it is meant")
            self._trace(f"ada approves {hold.id} {cell if not whole else ''}")
        except (BusError, Unavailable) as error:
            self._trace(f"ada cannot approve {hold.id}: {error}")
        return True
