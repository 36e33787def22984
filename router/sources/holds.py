"""What a person has to decide about one source's plans: held rows and their hold, on the source's shelf.

The newest hold is the one whose rows wait. Each of its acts (held, approved, …) is one commit here, and then
told on AUDIT and STATE; a start tells what a crash has left untold.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from bus import subjects
from bus.codec import encode_state
from bus.errors import BusError
from bus.messages import AuditRecord, Outcome, Step
from bus.port import Bus, Message
from router.alerts import alert_message
from router.core.dependents import Planned, dependents
from router.core.holds import (
    APPROVED,
    DISCARDED,
    EXPIRED,
    OPEN,
    SUPERSEDED,
    Act,
    Hold,
    Selection,
)
from router.core.limits import NOUNS, REKEY, Cell, HeldCell
from router.core.rekey import LINK
from router.database import Write
from router.outbox import Outbox, audit_messages
from router.sources.dependencies import Dependencies
from router.sources.judging import Judged, cell_of
from router.sources.shelf import Read, Shelf
from router.sources.staging import NOTHING

KEPT: Final = 100
"""Holds that stay on the shelf, for people."""
OVERLOOKED_MAX: Final = 50
"""More removals than this nobody looks through: whoever approves them types the plan's hash."""
TYPED_MIN: Final = 6
HELD: Final = "held"
OUTCOMES: Final = {
    HELD: Outcome.HELD,
    APPROVED: Outcome.APPROVED,
    DISCARDED: Outcome.DISCARDED,
    SUPERSEDED: Outcome.SUPERSEDED,
    EXPIRED: Outcome.EXPIRED,
}


class Holds:
    """The holds of one source."""

    def __init__(
        self,
        *,
        system: str,
        shelf: Shelf,
        dependencies: Dependencies,
        outbox: Outbox,
        bus: Bus,
        approval_s: float,
        tokens: subjects.Tokens,
        now_ms: Callable[[], int],
    ) -> None:
        self._system = system
        self._shelf = shelf
        self._dependencies = dependencies
        self._outbox = outbox
        self._bus = bus
        self._approval_ms = int(approval_s * 1000)
        self._tokens = tokens
        self._now_ms = now_ms

    def newest(self) -> Hold | None:
        """The hold whose rows wait; None: there never was one."""
        return next(iter(self.listed(1)), None)

    def listed(self, most: int) -> list[Hold]:
        """The newest holds, newest first."""
        return [hold_of(body) for _, body in self._shelf.read("holds", most)]

    def names(self, selection: Selection, most: int, offset: int) -> list[tuple[Cell, str]]:
        """Which records wait: their cell, and the source's id."""
        school, entity, op = selection
        rows = self._shelf.read("waiting_names", school, entity, op, most, offset)
        return [(Cell(entity, school, op), local_id) for entity, school, op, local_id in rows]

    # A read's plan

    def hold(self, read: Read, judged: Judged) -> tuple[Hold | None, list[Write]]:
        """The writes that hold what is judged so, and end what the read supersedes: for the commit with which
        its plan begins to be published. The same plan again is the same hold, while that is open.
        """
        shelf, now_ms, before = self._shelf, self._now_ms(), self.newest()
        writes = [
            shelf.write("forget_waiting", NOTHING),
            shelf.write("hold_cell", [tuple(each.cell) for each in judged.cells]),
            shelf.write("hold_row", [(number,) for number in sorted(judged.depends)]),
            shelf.write("unplan_held", NOTHING),
            shelf.write("supersede_reads", [(read.number,)]),
        ]
        expires_ms = now_ms + self._approval_ms
        if before and before.is_open and judged.cells and before.hash == judged.hash:
            found = replace(before, read=read.number, name=read.name, expires_ms=expires_ms)
            return found, [*writes, self._save([found])]
        ended = [before.ended(SUPERSEDED, now_ms)] if before and before.is_open else []
        if not judged.cells:
            return None, [*writes, self._save(ended)]
        found = Hold(
            id=f"{self._system}-{read.number}",
            system=self._system,
            read=read.number,
            name=read.name,
            hash=judged.hash,
            since_ms=now_ms,
            expires_ms=expires_ms,
            cells=judged.cells,
            depends=judged.depending,
        )
        found = replace(found, acts=(Act(HELD, now_ms, found.records),))
        return found, [*writes, self._save([*ended, found]), shelf.write("forget_holds", [(KEPT,)])]

    # A person's decision

    async def approve(self, id_: str, typed: str, selection: Selection, who: str, why: str) -> Hold:
        """Let the cells that are meant go, but for rows that need others which stay. Raises BusError."""
        hold = self._decidable(id_, typed)
        cells = self._chosen(hold, selection)
        removals = sum(each.records for each in hold.cells if each.cell in cells and each.cell.op == "delete")
        if removals > OVERLOOKED_MAX and not typed:
            raise BusError(
                f"{hold.id}: {removals:,} removals are more than a person looks through. Look at some of them"
                f" (yellowbus holds show {hold.id} --names), then approve by the plan's hash:"
                f" --hash {hold.hash}"
            )
        stay_cells = {each.cell for each in hold.cells if each.state == OPEN} - cells
        held, others = await self._rows(stay_cells)
        stay = dependents(held, others)
        go = [each for each in others if each.number not in stay]
        if not go:
            others_ = "; ".join(str(cell) for cell in sorted(stay_cells))
            raise BusError(
                f"{hold.id}: all of it needs records that stay held. Approve these with it: {others_}"
            )
        after = self._decided(hold, cells, Act(APPROVED, self._now_ms(), len(go), who, why), go)
        numbers = [(each.number,) for each in go]
        await self._shelf.commit([self._shelf.write("approve_row", numbers), self._save([after])])
        await self.tell()
        return after

    async def discard(self, id_: str, selection: Selection, who: str, why: str) -> Hold:
        """Drop the cells that are meant, and what needs them. The source has not changed by that: the next
        read of all its records brings them again, and they are held again. Raises BusError.
        """
        hold = self._decidable(id_, "")
        cells = self._chosen(hold, selection)
        dropped, others = await self._rows(cells)
        behind = dependents(dropped, others)
        go = [*dropped, *(each for each in others if each.number in behind)]
        after = self._decided(hold, cells, Act(DISCARDED, self._now_ms(), len(go), who, why), go)
        numbers = [(each.number,) for each in go]
        await self._shelf.commit([self._shelf.write("discard_row", numbers), self._save([after])])
        await self.tell()
        return after

    def _decidable(self, id_: str, typed: str) -> Hold:
        hold = next((each for each in self.listed(KEPT) if each.id == id_), None)
        if hold is None:
            raise BusError(f"{id_}: there is no such hold. See: yellowbus holds list")
        if not hold.is_open:
            newest = self.newest()
            now = f"{newest.id} is the newest" if newest and newest.id != hold.id else "it is the newest"
            raise BusError(
                f"{id_}: it is {hold.state}, so nothing was done ({now}). Look again: yellowbus holds list"
            )
        if self._now_ms() >= hold.expires_ms:
            raise BusError(f"{id_}: it has expired, so nothing was done. {AGAIN}")
        if typed and (len(typed) < TYPED_MIN or not hold.hash.startswith(typed.lower())):
            raise BusError(
                f"{id_}: the plan's hash is another one than {typed!r} (expected at least its first"
                f" {TYPED_MIN} digits). Look again: yellowbus holds show {id_}"
            )
        return hold

    def _chosen(self, hold: Hold, selection: Selection) -> set[Cell]:
        cells = hold.chosen(selection)
        if not cells:
            there = "; ".join(str(each.cell) for each in hold.cells if each.state == OPEN)
            raise BusError(f"{hold.id}: nothing of it is meant by that (it holds: {there})")
        return set(cells)

    async def _rows(self, cells: set[Cell]) -> tuple[list[Planned], list[Planned]]:
        """What waits: the rows of these cells, and the others."""
        return await self._dependencies.rows(
            "waiting_after", lambda row: Cell(row[1], row[4], row[3]) in cells
        )

    def _decided(self, hold: Hold, cells: Iterable[Cell], act: Act, go: Sequence[Planned]) -> Hold:
        left = {
            Cell(entity, school, op): count for entity, school, op, count in self._shelf.read("waiting_cells")
        }
        for each in go:
            left[cell_of(each)] -= 1
        return hold.decided(cells, act, {cell: count for cell, count in left.items() if count})

    # Its end

    def left_s(self) -> float | None:
        """How long the open hold is good for; None: there is none."""
        newest = self.newest()
        return max(newest.expires_ms - self._now_ms(), 0) / 1000 if newest and newest.is_open else None

    async def expire(self) -> None:
        """End the open hold when its time has come. Its rows wait on for the next read."""
        newest, now_ms = self.newest(), self._now_ms()
        if newest and newest.is_open and now_ms >= newest.expires_ms:
            await self._shelf.commit([self._save([newest.ended(EXPIRED, now_ms)])])

    async def tell(self) -> None:
        """Audit what was done with holds, once, and say on STATE how they stand."""
        for told, body in reversed(self._shelf.read("holds", 2)):
            hold = hold_of(body)
            for number, act in enumerate(hold.acts[told:], told + 1):
                await self._tell(hold, number, act)
            if told < len(hold.acts):
                await self._shelf.commit([self._shelf.write("told_hold", [(len(hold.acts), hold.id)])])

    async def _tell(self, hold: Hold, number: int, act: Act) -> None:
        record = AuditRecord(
            f"hold/{hold.id}/{number}",
            Step.HOLD,
            OUTCOMES[act.what],
            act.at_ms,
            source=self._system,
            reason=f"{act.records} records: {act.why}" if act.why else f"{act.records} records",
            hash=hold.hash,
            read=str(hold.read),
            who=act.who,
        )
        subject = subjects.audit(record.step, record.outcome, record.system, record.entity)
        newest = await self._bus.last(subjects.AUDIT, subject)
        if newest is not None and newest.id == record.id:
            return  # told by a life that died before the shelf knew
        messages = [*audit_messages([record]), self._state(hold, number)]
        if act.what in (HELD, EXPIRED):
            cause = f"{hold.id}/{number}"
            kind = "re-key" if any(each.why == REKEY for each in hold.cells) else "held-plan"
            messages.append(alert_message(kind, self._system, cause, act.at_ms, alert_text(hold, act)))
        await self._outbox.tell(messages)

    def _state(self, hold: Hold, number: int) -> Message:
        subject = subjects.state("hold", self._system, "-", self._tokens(f"hold/{hold.id}"))
        return Message(subject, encode_state(_entries(hold)), f"hold/{hold.id}/{number}")

    def _save(self, holds: Sequence[Hold]) -> Write:
        rows = [(each.id, each.since_ms, 0, json.dumps(_entries(each))) for each in holds]
        return self._shelf.write("save_hold", rows)


AGAIN: Final = (
    "What it holds waits for the next read of the source, and is held again with it. To have that now, put"
    " the newest export before the source once more"
)


def alert_text(hold: Hold, act: Act) -> str:
    """What the alert says: how much waits, and where; no value."""
    first, more = hold.cells[0], len(hold.cells) - 1
    rest = f", and {more} more" if more else ""
    if act.what == EXPIRED:
        return f"{hold.system}: hold {hold.id} has expired, with {act.records:,} records. {AGAIN}."
    return (
        f"{hold.system}: {hold.name}: {act.records:,} records are held: {first}{rest}. The others flow."
        f" Approve or discard: yellowbus holds show {hold.id}"
    )


def counts_of(hold: Hold) -> dict[str, int]:
    """How many records wait for a decision, by what would happen to them."""
    found = {noun: 0 for op, noun in NOUNS.items() if op != LINK}
    for each in hold.cells:
        noun = NOUNS[each.cell.op]
        found[noun] = found.get(noun, 0) + (each.records if each.state == OPEN else 0)
    return found


def _entries(hold: Hold) -> dict[str, Any]:
    """A hold as plain values, for the shelf and for STATE."""
    return asdict(hold)


def hold_of(body: str) -> Hold:
    """The hold that the shelf has in these words."""
    entries = json.loads(body)
    entries["cells"] = tuple(HeldCell(Cell(*cell), *rest) for cell, *rest in entries["cells"])
    entries["depends"] = tuple((Cell(*cell), count) for cell, count in entries["depends"])
    entries["acts"] = tuple(Act(*act) for act in entries["acts"])
    return Hold(**entries)
