"""A reading becomes a plan: staged, guarded against truncation, and judged against the limits.

Two guards, one after the other. What looks truncated is *refused*: then nothing is known of what is missing.
What is whole and changes a lot is *held*: it is plausible, and a person says whether it is meant.
"""

import json
from collections.abc import Mapping, Sequence

from bus.adapter import Reading
from bus.errors import Refused
from bus.messages import Op
from router.core.guard import dangling, shrunk
from router.core.rekey import LINK
from router.core.rules import District
from router.database import Write
from router.sources.concluding import Concluding
from router.sources.judging import Judged, Judging
from router.sources.rekeying import Rekeying
from router.sources.shelf import Read, Shelf
from router.sources.staging import NOTHING, Mapped, Staged, Staging


class Planning:
    """Makes the plans of one source, on a shelf: its own, or a copy to see what a file would do."""

    def __init__(
        self,
        *,
        system: str,
        shelf: Shelf,
        mapped: Sequence[Mapped],
        concluding: Concluding,
        judging: Judging,
        rekeying: Rekeying,
        district: District,
    ) -> None:
        self._system = system
        self._shelf = shelf
        self._mapped = mapped
        self._concluding = concluding
        self._judging = judging
        self._rekeying = rekeying
        self._district = district

    async def plan(self, reading: Reading, read: Read, at_ms: int) -> tuple[Read, Judged]:
        """Stage, guard, judge; the plan is on the shelf then. Raises Refused: take nothing of it."""
        self._follow(read)
        staging = Staging(
            system=self._system,
            shelf=self._shelf,
            district=self._district,
            reading=reading,
            number=read.number,
        )
        staged = await staging.run(self._mapped)
        if reading.full:
            await self._concluding.look(at_ms)
        self._guard(reading, staged)
        await self._carry(reading)
        relinked = await self._rekeying.relink()
        concluded = await self._concluding.conclude()
        planned = dict(self._shelf.read("plan_counts"))
        read = read.ended(
            "publishing",
            0,
            rows=staged.read,
            creates=planned.get(Op.CREATE.value, 0),
            updates=planned.get(Op.UPDATE.value, 0) + planned.get(LINK, 0),
            deletes=planned.get(Op.DELETE.value, 0),
            set_aside=staged.set_aside,
            remarks=tuple([*_said(relinked, concluded), *reading.warnings, *staged.remarks]),
        )
        return read, await self._judging.judge(at_ms, relinked)

    def taken(self, reading: Reading, judged: Judged) -> list[Write]:
        """For the commit that takes a reading: to let go of what has ended, and to keep by which `when` its
        rows were chosen. While something of it is held that may be what an edited rule leaves out, so what
        was said before stays.
        """
        ended = [self._shelf.write(f"{what}_concluded", NOTHING) for what in ("retreat", "forget")]
        if judged.cells or not reading.full:
            return ended
        spoken = [each.rule for each in self._mapped if each.rule.table in reading.tables]
        return [*ended, self._shelf.write("save_rule", [(each.entity, each.when_text) for each in spoken])]

    def _follow(self, read: Read) -> None:
        """See that a reading comes after what was taken, and right after it. Raises Refused."""
        for name, observed_at_ms in self._shelf.read("last_good"):
            if read.observed_at_ms < observed_at_ms:
                text = f"{read.name}: it is older than the last good read, {name} (expected a newer export)"
                raise Refused([text], code="older")
        if read.full:
            return
        for (name,) in self._shelf.read("gap", read.number, read.observed_at_ms, read.sha256, read.name):
            text = f"{read.name}: it holds changes only, and those of {name} before it were not taken"
            raise Refused([f"{text} (expected all records): send a bulk export"], code="gap")

    def _guard(self, reading: Reading, staged: Staged) -> None:
        """See that it is whole. Raises Refused."""
        guards = self._district.guards
        reasons = dangling(staged.rows, staged.dangling, guards)
        before = self._shelf.counts("counts_held")
        if reading.full:
            tables = {each.rule.entity for each in self._mapped if each.rule.table in reading.tables}
            ended = self._shelf.counts("counts_concluded")
            before = {name: count - ended.get(name, 0) for name, count in before.items() if name[0] in tables}
            before = {name: count for name, count in before.items() if count}
            reasons += shrunk(before, self._shelf.counts("counts_staged"), guards)
        if reasons:
            raise Refused(reasons + staged.remarks, code="looks-truncated")
        if not reading.full:
            gone = self._shelf.counts("counts_gone")
            left = {name: count - gone.get(name, 0) for name, count in before.items()}
            if reasons := [f"with its removals {reason}" for reason in shrunk(before, left, guards)]:
                raise Refused(reasons + staged.remarks, code="too-many-removals")

    async def _carry(self, reading: Reading) -> None:
        """What waits, and this reading says nothing of, waits on as part of this plan."""
        shelf, full = self._shelf, int(reading.full)
        spoken = [each.rule.entity for each in self._mapped if each.rule.table in reading.tables]
        await shelf.commit(
            [
                shelf.write("carry", [(full, json.dumps(spoken))] if shelf.read("any_waiting") else []),
                shelf.write("unplan_unknown", [(full,)]),
                shelf.write("plan_schools", [(full,)]),
            ]
        )


def _said(relinked: Mapping[str, int], concluded: int) -> list[str]:
    said = [
        f"{entity}: {count:,} records seem to have other ids than before. See runbooks/re-key.md"
        for entity, count in relinked.items()
    ]
    if concluded:
        said.append(f"{concluded:,} records that had ended are in it no more: they stay as they are")
    return said
