"""One source's life: wait for a reading, stage it, guard it, publish it, put it away.

A row advances on the shelf only when its event has its PubAck. A reading that is refused changes nothing.
"""

import hashlib
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import Any, Final

from bus import subjects
from bus.adapter import Reading, Sleep, Source
from bus.codec import encode_event
from bus.errors import Refused, StreamFull, Unavailable
from bus.messages import AuditRecord, Event, Op, Outcome, Step
from bus.port import Bus, Message
from router.alerts import alert_message
from router.core.guard import dangling, shrunk
from router.core.rules import District
from router.outbox import Outbox, audit_messages
from router.sources.reach import Reach
from router.sources.shelf import Read, Shelf
from router.sources.staging import NOTHING, Mapped, Staging
from router.steps import to_end

BATCH: Final = 2_000
"""Events at once: ids are random, and a large commit touches each page of the shelf fewer times."""
TAIL_MESSAGES: Final = 5 * BATCH
"""How far back a batch may begin that other systems' events were stored among."""
RETRY_S: Final = 5.0
ASKED_MAX_S: Final = 3_600.0
GOOD: Final = ("accepted", "unchanged")

Row = tuple[Any, ...]


def traceparent(event_id: str) -> str:
    """A W3C traceparent that follows from the event's id, so that a second try has the same."""
    digest = hashlib.blake2b(event_id.encode(), digest_size=24).hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-01"


def _rest_s(error: Unavailable | StreamFull) -> float:
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
        mapped: Sequence[Mapped],
        shelf: Shelf,
        bus: Bus,
        outbox: Outbox,
        district: District,
        tokens: subjects.Tokens,
        now_ms: Callable[[], int],
        sleep: Sleep,
        trouble: Callable[[str], None],
    ) -> None:
        self.system = system
        self.shelf = shelf
        self._source = source
        self._mapped = mapped
        self._bus = bus
        self._outbox = outbox
        self._district = district
        self._tokens = tokens
        self._now_ms = now_ms
        self._sleep = sleep
        self._waiting = waiting
        self._reach = Reach(system, outbox, now_ms, trouble)
        self.published = 0

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
        while True:
            try:
                await self._finish()
                async for reading in self._source.read():
                    self._reach.well()
                    self._waiting.pop(reading.name, None)
                    await to_end(self._take(reading))
            except (Unavailable, StreamFull) as error:
                await self._reach.lost(error, kept="What was read so far is kept; it is tried again.")
                await self._sleep(_rest_s(error))

    async def _take(self, reading: Reading) -> None:
        read = await self._begin(reading)
        if read.outcome in GOOD:  # a crash came between the end of it and putting it away
            await reading.accept()
            return
        try:
            await reading.open()
            read = replace(read, full=reading.full)
            await self.shelf.save(read)
            read = await self._stage(reading, read)
        except Refused as refused:
            await self._refuse(reading, read, refused)
            return
        await self.shelf.save(read)
        await self._publish(read)
        await self._end(read)
        await reading.accept()

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

    def _follow(self, read: Read) -> None:
        """See that a reading comes after what was taken, and right after it. Raises Refused."""
        for name, observed_at_ms in self.shelf.read("last_good"):
            if read.observed_at_ms < observed_at_ms:
                text = f"{read.name}: it is older than the last good read, {name} (expected a newer export)"
                raise Refused([text], code="older")
        if read.full:
            return
        for (name,) in self.shelf.read("gap", read.number, read.observed_at_ms, read.sha256, read.name):
            text = f"{read.name}: it holds changes only, and those of {name} before it were not taken"
            raise Refused([f"{text} (expected all records): send a bulk export"], code="gap")

    async def _stage(self, reading: Reading, read: Read) -> Read:
        """Stage and guard. Raises Refused; then nothing of the reading is taken."""
        self._follow(read)
        staging = Staging(
            system=self.system,
            shelf=self.shelf,
            district=self._district,
            reading=reading,
            number=read.number,
        )
        staged = await staging.run(self._mapped)
        guards = self._district.guards
        reasons = dangling(staged.rows, staged.dangling, guards)
        before = self.shelf.counts("counts_held")
        if reading.full:
            tables = {each.rule.entity for each in self._mapped if each.rule.table in reading.tables}
            before = {name: count for name, count in before.items() if name[0] in tables}
            reasons += shrunk(before, self.shelf.counts("counts_staged"), guards)
        if reasons:
            raise Refused(reasons + staged.remarks, code="looks-truncated")
        if not reading.full:
            gone = self.shelf.counts("counts_gone")
            left = {name: count - gone.get(name, 0) for name, count in before.items()}
            if reasons := [f"with its removals {reason}" for reason in shrunk(before, left, guards)]:
                raise Refused(reasons + staged.remarks, code="too-many-removals")
        planned = dict(self.shelf.read("plan_counts"))
        return read.ended(
            "publishing",
            0,
            rows=sum(staged.rows.values()),
            creates=planned.get(Op.CREATE.value, 0),
            updates=planned.get(Op.UPDATE.value, 0),
            deletes=planned.get(Op.DELETE.value, 0),
            set_aside=staged.set_aside,
            remarks=tuple([*reading.warnings, *staged.remarks]),
        )

    async def _finish(self) -> None:
        """Publish what is left of a plan that a crash has cut off."""
        last = next(iter(self.shelf.reads(1)), None)
        if last and last.outcome == "publishing":
            await self._publish(last, await self._published())
            await self._end(last)

    async def _published(self) -> set[str]:
        """Ids of this system's newest events: a crash may have come between the PubAck of a batch and its
        advance, and the server itself knows ids for half an hour only.
        """
        subject = subjects.event(self.system, "*", "*")
        found: set[str] = set()
        if newest := await self._bus.last(subjects.EVENTS, subject):
            first = max(newest.seq - TAIL_MESSAGES, 1)
            tail = self._bus.read(subjects.EVENTS, first_seq=first, subject=subject, last_seq=newest.seq)
            async for batch in tail:
                found.update(stored.id for stored in batch)
        return found

    async def _publish(self, read: Read, there: Container[str] = frozenset()) -> None:
        """Publish the plan, but for what is on the bus already."""
        while rows := self.shelf.read("next_plan", BATCH):
            messages = [self._message(row, read) for row in rows]
            if messages := [message for message in messages if message.id not in there]:
                await self._bus.publish(subjects.EVENTS, messages)
            kept = [(row[1], row[2], row[4], row[5]) for row in rows if row[3] != Op.DELETE.value]
            gone = [(row[1], row[2]) for row in rows if row[3] == Op.DELETE.value]
            await self.shelf.commit(
                [
                    self.shelf.write("advance", kept),
                    self.shelf.write("retreat", gone),
                    self.shelf.write("published", [(rows[-1][0],)]),
                ]
            )
            self.published += len(rows)

    def _message(self, row: Row, read: Read) -> Message:
        _, entity, local_id, op, _, _, id_, body = row
        if op == Op.DELETE.value:
            id_ = f"{self.system}.{self._tokens(f'{entity}/{local_id}')}.{read.number}.delete"
            event = Event(
                id_,
                self.system,
                entity,
                Op.DELETE,
                local_id,
                {},
                False,
                read.observed_at_ms,
                read=str(read.number),
            )
            body = encode_event(event)
        return Message(subjects.event(self.system, entity, op), body, id_, None, traceparent(id_))

    async def _end(self, read: Read) -> None:
        now_ms = self._now_ms()
        news = read.creates + read.updates + read.deletes
        done = read.ended("accepted" if news else "unchanged", now_ms)
        alerts = []
        if read.set_aside:
            text = (
                f"{self.system}: {read.name}: {read.set_aside} rows were set aside, the rest was taken."
                f" See: yellowbus reads {self.system}"
            )
            alerts.append(alert_message("quarantined-rows", self.system, f"{read.number}", now_ms, text))
        await self._tell(self._audited(done, Outcome.ACCEPTED if news else Outcome.UNCHANGED), alerts)
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
