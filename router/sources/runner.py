"""One source's life: wait for a reading, plan it, hold what a person has to see, publish the rest.

A row advances on the shelf only when its event has its PubAck. A reading that is refused changes nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Final

from bus import subjects
from bus.adapter import Reading, Sleep, Source
from bus.errors import BusError, Refused, StreamFull, Unavailable
from bus.messages import AuditRecord, Outcome, Step
from bus.port import Bus, Message
from router.alerts import alert_message
from router.core.holds import Hold, Selection
from router.database import Write
from router.outbox import Outbox, audit_messages
from router.sources.holds import Holds
from router.sources.judging import Judged
from router.sources.planning import Planning
from router.sources.publishing import Publishing
from router.sources.reach import Reach
from router.sources.shelf import Read, Shelf
from router.sources.staging import NOTHING, REMARKS_MAX
from router.steps import to_end

RETRY_S: Final = 5.0
ASKED_MAX_S: Final = 3_600.0
BUSY_S: Final = 3.0
"""How long a person's decision waits for its turn: what asks gives up after five."""
GOOD: Final = ("accepted", "unchanged", "held", "superseded")


def rest_s(error: Unavailable | StreamFull) -> float:
    """How long to leave a system alone that does not answer: as long as it asks, but an hour at most."""
    asked_s = error.retry_after_s if isinstance(error, Unavailable) else None
    return max(RETRY_S, min(asked_s or 0.0, ASKED_MAX_S))


class Waiting(dict[str, str]):
    """News that is not complete yet, as the adapter says it: name -> why. No reason: it does not wait now."""

    def __call__(self, name: str, why: str) -> None:
        if why:
            self[name] = why
        else:
            self.pop(name, None)


class SourceRunner:
    """Reads one system and publishes what happened in it."""

    def __init__(
        self,
        *,
        system: str,
        source: Source,
        waiting: Waiting,
        shelf: Shelf,
        planning: Planning,
        holds: Holds,
        publishing: Publishing,
        bus: Bus,
        outbox: Outbox,
        now_ms: Callable[[], int],
        sleep: Sleep,
        trouble: Callable[[str], None],
    ) -> None:
        self.system = system
        self.shelf = shelf
        self.holds = holds
        self._source = source
        self._planning = planning
        self._publishing = publishing
        self._bus = bus
        self._outbox = outbox
        self._now_ms = now_ms
        self._sleep = sleep
        self._trouble = trouble
        self._waiting = waiting
        self._reach = Reach(system, outbox, now_ms, trouble)
        self._turn = asyncio.Lock()  # a reading, what was approved, a decision: one after the other
        self._busy_with = ""
        self._decided = asyncio.Event()

    @property
    def published(self) -> int:
        """How many events it has published since the start."""
        return self._publishing.published

    @property
    def unreachable(self) -> str:
        """Why it cannot be read, or its news not be published; '' : it can."""
        return self._reach.unreachable

    def reads(self, most: int) -> list[Read]:
        """The newest reads, newest first, those that wait before all."""
        now_ms = self._now_ms()
        still = [
            Read(
                number=0,
                name=name,
                sha256="",
                size_bytes=0,
                observed_at_ms=now_ms,
                started_ms=now_ms,
                outcome="waiting",
                remarks=(why,),
            )
            for name, why in self._waiting.items()
        ]
        return (still + self.shelf.reads(most))[:most]

    async def run(self) -> None:
        """Take one reading after the other, for ever. A system that does not answer is asked again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_after_holds())
            await self._read()

    async def _read(self) -> None:
        while True:
            try:
                async with self._turn:
                    await self._finish()
                async for reading in self._source.read():
                    self._reach.well()
                    self._waiting.pop(reading.name, None)
                    async with self._turn:
                        self._busy_with = f"{reading.name} is being read"
                        await to_end(self._take(reading))
            except (Unavailable, StreamFull) as error:
                await self._reach.lost(error, kept="What was read so far is kept; it is tried again.")
                await self._sleep(rest_s(error))

    async def _take(self, reading: Reading) -> None:
        await self._release()  # approved is approved: what comes now is compared with it
        read = await self._begin(reading)
        if read.outcome in GOOD:  # a crash came between the end of it and putting it away
            await reading.accept()
            return
        try:
            await reading.open()
            read = replace(read, full=reading.full)
            await self.shelf.save(read)
            read, judged = await self._planning.plan(reading, read, self._now_ms())
        except Refused as refused:
            await self._refuse(reading, read, refused)
            return
        read = await self._hold(read, judged, self._planning.taken(reading, judged))
        await self._publishing.plan(read)
        await self._end(read)
        await reading.accept()

    async def _hold(self, read: Read, judged: Judged, also: Sequence[Write]) -> Read:
        """From here on it is taken: what is held waits, the rest is published."""
        hold, writes = self.holds.hold(read, judged)
        if hold:
            said = [f"{hold.records:,} records are held: {hold.id}", *map(str, hold.cells)]
            read = replace(read, remarks=(*said, *read.remarks)[:REMARKS_MAX])
        await self.shelf.save(read, *writes, *also)
        await self.holds.tell()
        self._decided.set()  # its time begins
        return read

    # What people decide

    async def approve(self, id_: str, typed: str, selection: Selection, who: str, why: str) -> Hold:
        """Let go what is meant; it is published at once. Raises BusError."""
        async with self._its_turn():
            hold = await to_end(self.holds.approve(id_, typed, selection, who, why))
        self._decided.set()
        return hold

    async def discard(self, id_: str, selection: Selection, who: str, why: str) -> Hold:
        """Drop what is meant. Raises BusError."""
        async with self._its_turn():
            hold = await to_end(self.holds.discard(id_, selection, who, why))
        self._decided.set()
        return hold

    @contextlib.asynccontextmanager
    async def _its_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(BUSY_S):
                await self._turn.acquire()
        except TimeoutError:
            raise BusError(
                f"{self.system}: {self._busy_with}, so nothing was done. Look again in a moment:"
                " yellowbus holds list"
            ) from None
        try:
            yield
        finally:
            self._turn.release()

    async def _look_after_holds(self) -> None:
        """Publish what is approved as soon as it is, and see when an approval comes too late."""
        after_a_crash = True
        while True:
            self._decided.clear()
            try:
                async with self._turn:
                    self._busy_with = "what was approved before is being published"
                    await to_end(self._release(after_a_crash=after_a_crash))
                after_a_crash = False
            except (Unavailable, StreamFull) as error:
                self._trouble(str(error))
                await self._sleep(RETRY_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.holds.left_s()):
                    await self._decided.wait()

    async def _release(self, *, after_a_crash: bool = False) -> None:
        """Publish what waited and is approved; tell what became of holds."""
        await self.holds.expire()
        await self.holds.tell()
        if not (hold := self.holds.newest()):
            return
        read = self.shelf.read_of(hold.read)
        if self.shelf.read("next_approved", 1):
            there = await self._publishing.there() if after_a_crash else ()
            await self._publishing.approved(read, there)
        if read.outcome == Outcome.HELD.value and not self.shelf.read("any_waiting"):
            await self.shelf.commit([self.shelf.write("decided_read", [(hold.read,)])])

    async def _begin(self, reading: Reading) -> Read:
        """A new read, or the same one again if the last was cut off in the middle of it."""
        last = next(iter(self.shelf.reads(1)), None)
        same = last and (last.name, last.sha256, last.observed_at_ms) == (
            reading.name,
            reading.sha256,
            reading.observed_at_ms,
        )
        if last and same and last.outcome != "refused":
            return last
        read = Read(
            number=last.number + 1 if last else 1,
            name=reading.name,
            sha256=reading.sha256,
            size_bytes=reading.size_bytes,
            observed_at_ms=reading.observed_at_ms,
            started_ms=self._now_ms(),
        )
        await self.shelf.save(read)
        return read

    async def _finish(self) -> None:
        """Publish what is left of a plan that a crash has cut off."""
        last = next(iter(self.shelf.reads(1)), None)
        if last and last.outcome == "publishing":
            await self._publishing.plan(last, await self._publishing.there())
            await self._end(last)

    async def _end(self, read: Read) -> None:
        now_ms = self._now_ms()
        news = read.creates + read.updates + read.deletes
        outcome = Outcome.ACCEPTED if news else Outcome.UNCHANGED
        if self.shelf.read("any_waiting"):
            outcome = Outcome.HELD
        done = read.ended(outcome.value, now_ms)
        alerts = []
        if read.set_aside:
            text = (
                f"{self.system}: {read.name}: {read.set_aside} rows were set aside, the rest was taken."
                f" See: yellowbus reads {self.system}"
            )
            alerts.append(alert_message("quarantined-rows", self.system, f"{read.number}", now_ms, text))
        await self._tell(self._audited(done, outcome), alerts)
        await self.shelf.save(
            done, *[self.shelf.write(f"forget_{what}", NOTHING) for what in ("staged", "loose")]
        )

    async def _refuse(self, reading: Reading, read: Read, refused: Refused) -> None:
        now_ms = self._now_ms()
        done = read.ended("refused", now_ms, remarks=tuple(refused.reasons))
        text = (
            f"{self.system}: {read.name} was refused whole: {refused.reasons[0]}."
            f" Nothing was published and nothing removed. See: yellowbus reads {self.system}"
        )
        await self._tell(
            self._audited(done, Outcome.REFUSED)._replace(reason=refused.code),
            [alert_message("refused-file", self.system, f"{read.number}", now_ms, text)],
        )
        await reading.refuse(report(self.system, done))
        await self.shelf.save(
            done, *[self.shelf.write(f"forget_{what}", NOTHING) for what in ("staged", "loose", "plan")]
        )

    async def _tell(self, record: AuditRecord, alerts: Sequence[Message]) -> None:
        """Tell how a read ended, unless a life has told it that died before the shelf knew: the server knows
        ids for half an hour only. Record and alerts are one commit, so where one is, the others come.
        """
        subject = subjects.audit(record.step, record.outcome, record.system, record.entity)
        newest = await self._bus.last(subjects.AUDIT, subject)
        if newest is None or newest.id != record.id:
            await self._outbox.tell([*audit_messages([record]), *alerts])

    def _audited(self, read: Read, outcome: Outcome) -> AuditRecord:
        return AuditRecord(
            f"read/{self.system}/{read.number}",
            Step.READ,
            outcome,
            read.ended_ms,
            source=self.system,
            read=str(read.number),
            observed_at_ms=read.observed_at_ms,
        )


def report(system: str, read: Read) -> str:
    """What stands beside a refused file, for whoever opens the folder."""
    reasons = "\n".join(f"  {reason}" for reason in read.remarks)
    return (
        f"yellowbus refused {read.name} from {system}: it is not complete, or not sound.\n\n{reasons}\n\n"
        f"Nothing of it was published, and nothing was removed anywhere: all systems keep what they have.\n"
        f"sha256 {read.sha256}, {read.size_bytes} bytes, read {read.number}\n"
        f"What to do: runbooks/refused-file.md\n"
    )
