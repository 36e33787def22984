"""Which destinations a person has paused: a fact on STATE, a row in the index, an act in the audit.

A worker asks before it takes up anything (`of`). Whoever asks the server sees it too: the destination's
durable is paused there for the same time. That is for show: no worker reads from it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from bus import subjects
from bus.codec import encode_state, unpack
from bus.errors import BusError, Garbage, Unavailable
from bus.messages import AuditRecord, Outcome, Step
from bus.port import Bus, Message
from router.alerts import alert_message, sentence
from router.core.pause import OPEN_END_MS, Pause, pause_of
from router.database import Write
from router.gathering import OURSELVES
from router.outbox import Outbox, audit_messages
from router.store import Store
from router.world import World

KIND: Final = "paused"
DAY_MS: Final = 86_400_000


class Pauses:
    """Of all destinations of a router."""

    def __init__(self, store: Store, outbox: Outbox, tokens: subjects.Tokens, world: World) -> None:
        self.wakers: Mapping[str, Callable[[], None]] = {}
        self._bus = world.bus
        self._store = store
        self._outbox = outbox
        self._tokens = tokens
        self._now_ms = world.now_ms
        self._trouble = world.trouble
        self._pauses = {pause.system: pause for row in store.read("pauses") if (pause := Pause(*row))}
        self._unshown: set[str] = set()
        self._turn = asyncio.Lock()
        self._showing = asyncio.Lock()  # one of its own: a person does not wait for a server that hangs

    def of(self, system: str) -> Pause | None:
        """The pause that a destination is in now."""
        pause = self._pauses.get(system)
        return pause if pause and pause.holds(self._now_ms()) else None

    # What people do

    async def pause(self, system: str, until_ms: int, who: str, why: str) -> Pause:
        """From now on nothing goes there. One that is paused already gets this end and reason instead."""
        async with self._turn:
            now_ms, before = self._now_ms(), self._pauses.get(system)
            if before and not before.holds(now_ms):
                await self._lapsed(before)
                before = None
            since_ms, told_ms = (before.since_ms, now_ms) if before else (now_ms, 0)
            pause = Pause(system, since_ms, until_ms, who, why, told_ms)
            save = self._store.write("save_pause", [tuple(pause)])
            reason = f"paused until {_utc(until_ms) if until_ms else 'it is resumed'}: {why}"
            id_ = f"pause/{system}/{now_ms}"
            await self._tell(id_, system, pause.entries(), Outcome.PAUSED, reason, who, save)
            self._pauses[system] = pause
        await self.show(system)
        return pause

    async def resume(self, system: str, who: str, why: str) -> None:
        """What waits goes. Raises BusError if it is not paused."""
        async with self._turn:
            pause = self.of(system)
            if pause is None:
                raise BusError(f"{system}: it is not paused. Nothing was done")
            await self._end(pause, f"{pause.system}/{self._now_ms()}", who, why)
        await self.show(system)

    # What time does

    async def look(self) -> None:
        """End what is over, tell of what has no end, show what could not be shown. Raises Unavailable."""
        for system in sorted(self._unshown):
            await self.show(system)
        for pause in list(self._pauses.values()):
            if not pause.holds(self._now_ms()):
                await self._ended(pause)
            elif pause.system not in self.wakers:
                continue  # the files name it no more; if they do again, it is still paused, and told
            elif not pause.until_ms and self._now_ms() >= (pause.told_ms or pause.since_ms) + DAY_MS:
                await self._remind(pause)

    async def _ended(self, pause: Pause) -> None:
        async with self._turn:
            if self._pauses.get(pause.system) is not pause:
                return
            await self._lapsed(pause)
        await self.show(pause.system)

    async def _lapsed(self, pause: Pause) -> None:
        name = f"{pause.system}/{pause.since_ms}.{pause.until_ms}"
        await self._end(pause, name, OURSELVES, f"its time has come ({pause.who}: {pause.why})")

    async def _remind(self, pause: Pause) -> None:
        now_ms = self._now_ms()
        days = (now_ms - pause.since_ms) // DAY_MS
        text = (
            f"{pause.system}: paused by {pause.who} for {days} d, with no end: {sentence(pause.why)} Nothing"
            f" is lost: its records wait. Go on: yellowbus resume {pause.system} --why ..."
        )
        told = pause._replace(told_ms=now_ms)
        async with self._turn:
            if self._pauses.get(pause.system) is not pause:
                return
            letters = self._outbox.put([alert_message(KIND, pause.system, str(now_ms), now_ms, text)])
            await self._store.commit([self._store.write("save_pause", [tuple(told)]), *letters.writes])
            self._pauses[pause.system] = told
            letters.send()

    async def _end(self, pause: Pause, name: str, who: str, why: str) -> None:
        entries = {**pause.entries(), "resumed_ms": self._now_ms()}
        forget = self._store.write("forget_pause", [(pause.system,)])
        id_, reason = f"pause/{name}/resumed", f"resumed: {why}"
        await self._tell(id_, pause.system, entries, Outcome.ACCEPTED, reason, who, forget)
        del self._pauses[pause.system]
        if wake := self.wakers.get(pause.system):
            wake()

    async def _tell(
        self,
        id_: str,
        system: str,
        entries: Mapping[str, Any],
        outcome: Outcome,
        reason: str,
        who: str,
        row: Write,
    ) -> None:
        """One commit: the row, the fact on STATE, and who made it so."""
        now_ms = self._now_ms()
        subject = subjects.state("pause", system, "-", self._tokens(system))
        audited = AuditRecord(id_, Step.OPERATOR, outcome, now_ms, destination=system, reason=reason, who=who)
        fact = Message(subject, encode_state(entries), id_)
        letters = self._outbox.put([fact, *audit_messages([audited])])
        await self._store.commit([row, *letters.writes])
        letters.send()

    # On the server

    async def show(self, system: str) -> None:
        """Its durable on CHANGES is paused as the destination is, or not. What fails is tried again later."""
        if system not in self.wakers:  # it has no durable
            self._unshown.discard(system)
            return
        async with self._showing:
            pause = self.of(system)
            until_ms = (pause.until_ms or OPEN_END_MS) if pause else 0
            try:
                await self._bus.pause(subjects.CHANGES, system, until_ms)
                self._unshown.discard(system)
            except Unavailable as error:
                self._unshown.add(system)
                self._trouble(f"{system}: whether it is paused is not shown on the server yet: {error}")


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


async def pauses_on_state(bus: Bus) -> AsyncIterator[list[tuple[Any, ...]]]:
    """For `save_pause`: all that STATE has."""
    async for page in bus.read(subjects.STATE, subject="state.pause.>"):
        rows = []
        for stored in page:
            with suppress(Garbage, KeyError, ValueError, TypeError):
                if pause := pause_of(unpack(stored.body)):
                    rows.append(tuple(pause))
        yield rows
