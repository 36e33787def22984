"""One router per state folder, one per district.

The lock on the folder holds against a second start on this machine. The lease on STATE holds against a
router on another machine; it is renewed while we live, and runs out by itself.
"""

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

from bus import subjects
from bus.adapter import Sleep
from bus.codec import encode_state, unpack
from bus.errors import Unavailable, WrongSequence, YellowbusError
from bus.port import Bus, Message
from router.privacy import FOLDER, keep_private

log = logging.getLogger("yellowbus")

LEASE_MS: Final = 30_000
RENEW_S: Final = 10.0


@contextlib.contextmanager
def folder_lock(state: Path) -> Iterator[None]:
    """Hold the state folder while the block runs, and keep it private. Raises YellowbusError if another
    router has it.
    """
    state.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    with (state / "router.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise YellowbusError(
                f"{state}: another yellowbus router is running on this folder. Stop it, or use it:"
                " yellowbus status",
                runbook="two-routers",
            ) from None
        for path in keep_private(state):
            log.warning("another user owns it: it is as private as they made it", extra={"path": str(path)})
        yield


def holder_of(state: Path, machine: str) -> str:
    """Who holds a lease: a folder on a machine. Two machines often have theirs under the same path."""
    return f"{machine}:{state.resolve()}"


class Lease:
    """The right to decide for a district, as one message on STATE that is renewed."""

    def __init__(
        self,
        bus: Bus,
        holder: str,
        token: str,
        now_ms: Callable[[], int],
        sleep: Sleep,
    ) -> None:
        self._bus = bus
        self._holder = holder
        self._subject = subjects.state("lease", "yellowbus", "router", token)
        self._now_ms = now_ms
        self._sleep = sleep
        self._seq = 0

    async def take(self) -> None:
        """Take it, or say who has it. A lease of our own folder is ours again. Raises YellowbusError."""
        last = await self._bus.last(subjects.STATE, self._subject)
        if last:
            said = unpack(last.body)
            self._seq = last.seq
            if said["holder"] != self._holder and said["until_ms"] > self._now_ms():
                left_s = (said["until_ms"] - self._now_ms()) // 1000 + 1
                raise YellowbusError(
                    f"another router decides for this district (lease for {left_s} s more)."
                    " Stop it, or wait until its lease has run out",
                    runbook="two-routers",
                )
        await self._renew()

    async def _renew(self, until_ms: int | None = None) -> None:
        until_ms = self._now_ms() + LEASE_MS if until_ms is None else until_ms
        body = encode_state({"holder": self._holder, "until_ms": until_ms})
        message = Message(self._subject, body, "", self._seq)
        try:
            (self._seq,) = await self._bus.publish(subjects.STATE, [message])
        except WrongSequence:
            last = await self._bus.last(subjects.STATE, self._subject)
            if last is None or unpack(last.body)["holder"] != self._holder:
                raise YellowbusError(
                    "another router has taken over this district. Nothing was overwritten; this one stops",
                    runbook="two-routers",
                ) from None
            self._seq = last.seq  # our own, whose answer was lost

    async def keep(self) -> None:
        """Renew for ever. Raises YellowbusError when another router has taken over."""
        while True:
            await self._sleep(RENEW_S)
            with contextlib.suppress(Unavailable):  # nobody else can take it without the bus, either
                await self._renew()

    async def give_up(self) -> None:
        """Let the next one start at once."""
        with contextlib.suppress(Unavailable, YellowbusError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._renew(self._now_ms())


@contextlib.asynccontextmanager
async def lease_held(lease: Lease) -> AsyncIterator[None]:
    """Hold the lease while the block runs. Raises YellowbusError if it is another's."""
    await lease.take()
    try:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(lease.keep())
            yield
            keeping.cancel()
    finally:
        await lease.give_up()
