"""The process: lock, server, connection, lease, and one pipeline for each valid configuration."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import platform
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Final

from adapters import make_destination, make_source
from bus import subjects
from bus.connection import Address
from bus.embedded import embedded
from bus.errors import Unavailable, YellowbusError
from bus.jetstream import JetStream
from bus.services import serve
from router.config import ConfigErrors, load
from router.core.rules import District
from router.database import Sqlite
from router.lock import Lease, folder_lock, holder_of, lease_held
from router.pipeline import Pipeline, build
from router.replay.newcomers import begin_together
from router.services import commands
from router.store import SCHEMA
from router.world import World

log = logging.getLogger("yellowbus")

DRAIN_MAX_S: Final = 20.0
SWITCH_INTERVAL_S: Final = 0.0005
"""How long a thread that wants the interpreter waits while the loop is busy. The default, 5 ms, is longer
than most of our disk writes take."""
GC_THRESHOLDS: Final = (200_000, 20, 50)
"""A batch makes some hundred thousand values, none of them in circles: looking for circles while they live
costs 5 % of the time, and finds nothing.
"""
M_ARENA_MAX: Final = -8
"""Which of glibc's settings says how many heaps there may be: its number in malloc.h."""


def now_ms() -> int:
    """The time, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Signals:
    """What the operating system asks of the daemon: to stop (SIGTERM, SIGINT), to read again (SIGHUP)."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()

    def listen(self) -> None:
        """From now on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)


@contextlib.asynccontextmanager
async def server_of(district: District, state: Path, *, synced: bool = True) -> AsyncIterator[Address]:
    """Where the district's bus is: the configured server, or one of our own while the block runs."""
    if district.nats_url:
        yield Address(url=district.nats_url, credentials=district.nats_credentials)
        return
    async with embedded(state / "nats", synced=synced) as address:
        yield address


def world_of(bus: JetStream, state: Path) -> World:
    """The real world: this disk, this clock, these adapters."""
    return World(
        bus=bus,
        open_database=Sqlite.open,
        state=state,
        now_ms=now_ms,
        sleep=asyncio.sleep,
        jitter=random.SystemRandom().random,
        make_source=lambda system, around: make_source(system.source.adapter, system.source.settings, around),  # type: ignore[union-attr]
        make_destination=lambda system, around: make_destination(
            system.destination.adapter,  # type: ignore[union-attr]
            system.destination.settings,  # type: ignore[union-attr]
            around,
        ),
        trouble=lambda what: log.warning("trouble", extra={"what": what}),
    )


async def epoch_of(bus: JetStream) -> int:
    """The epoch of CHANGES: a restore from backup raises it."""
    info = await bus.info(subjects.CHANGES)
    return int(info.metadata.get("yellowbus.epoch", "1"))


async def check_index(bus: JetStream, pipeline: Pipeline, epoch: int) -> None:
    """Refuse to start on an index that is ahead of the streams, or of others. Raises YellowbusError."""
    store = pipeline.store
    known = store.position("epoch")
    if known and known != epoch:
        raise YellowbusError(
            f"index: made for epoch {known} of the streams, they are at {epoch} (restored from a backup?)."
            " Nothing was touched. Make the index anew: yellowbus rebuild",
            runbook="index-refused",
        )
    for stream, name in ((subjects.CHANGES, "changes"), (subjects.EVENTS, "events")):
        last = (await bus.info(stream)).last_seq
        if store.position(name) and not last:
            raise YellowbusError(
                f"{stream} is empty, and the index knows it up to {store.position(name)}: the streams are"
                " lost, or this is another server. Nothing was touched. Find the streams, or restore them",
                runbook="index-refused",
            )
        if store.position(name) > last:
            raise YellowbusError(
                f"index: knows {stream} up to {store.position(name)}, the stream ends at {last}."
                " Nothing was touched. Make the index anew: yellowbus rebuild",
                runbook="index-refused",
            )
    positions = [("epoch", epoch), ("schema", SCHEMA), *begin_together(store, pipeline.workers)]
    await store.commit([store.write("save_positions", positions)])


async def serve_forever(
    config: Path,
    state: Path,
    signals: Signals,
    *,
    synced: bool = True,
    ready: Callable[[JetStream, Pipeline], None] = lambda bus, pipeline: None,
) -> None:
    """Run the router until it is told to stop. Raises YellowbusError for what a person has to mend first."""
    district = load(config, state)
    tune()
    with folder_lock(state):
        async with server_of(district, state, synced=synced) as address, JetStream.connect(address) as bus:
            for drift in await bus.provision(replicas=district.replicas):
                log.warning("stream differed", extra={"drift": str(drift)})
            epoch = await epoch_of(bus)
            world = world_of(bus, state)
            holder = holder_of(state, platform.node())
            lease = Lease(bus, holder, subjects.Tokens(district.key)("district"), now_ms, asyncio.sleep)
            async with lease_held(lease):
                while not signals.stop.is_set():
                    signals.reload.clear()
                    async with build(district, world, epoch) as pipeline:
                        await check_index(bus, pipeline, epoch)
                        district = await _until_told(
                            bus, pipeline, signals, config, state, partial(ready, bus, pipeline)
                        )
    log.info("stopped")


def tune() -> None:
    """Settings of the interpreter that fit what we do: many small values that live briefly."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()  # what is loaded now stays for good and need not be looked at again
    gc.set_threshold(*GC_THRESHOLDS)
    # One heap for all threads: each keeps what it has freed, and we have a dozen that wait most of the time.
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):  # glibc
        libc.mallopt(M_ARENA_MAX, 1)


async def _until_told(
    bus: JetStream,
    pipeline: Pipeline,
    signals: Signals,
    config: Path,
    state: Path,
    ready: Callable[[], None],
) -> District:
    """Work until a stop or a valid new configuration; then drain. Returns the configuration to go on with."""
    # First what does the work: who gets an answer may count on listeners and workers.
    working = asyncio.ensure_future(pipeline.run())
    services = None
    try:
        services = await serve(
            bus.connection, "yellowbus-router", "1.0.0", "What the router knows", commands(pipeline, now_ms)
        )
        district = pipeline.district
        log.info("ready", extra={"district": district.name, "systems": len(district.systems)})
        ready()
        while True:
            told = [asyncio.ensure_future(event.wait()) for event in (signals.stop, signals.reload)]
            await asyncio.wait([working, *told], return_when=asyncio.FIRST_COMPLETED)
            for each in told:
                each.cancel()
            if working.done():
                await working  # a bug, or another router: the reason is raised
            if signals.stop.is_set():
                return district
            signals.reload.clear()
            if (changed := _reloaded(district, config, state)) is not None:
                return changed
    finally:  # also when the lease was lost: adapters and files are closed next
        if not working.done():
            await _drain(working)
        if services is not None:
            await services.close()


def _reloaded(now: District, config: Path, state: Path) -> District | None:
    """The configuration as it is now, if it is valid and another one."""
    try:
        district = load(config, state)
    except (ConfigErrors, YellowbusError) as error:
        log.error("configuration refused, the old one stays", extra={"problems": str(error)})
        return None
    if (district.nats_url, district.nats_credentials, district.key) != (
        now.nats_url,
        now.nats_credentials,
        now.key,
    ):
        log.error("configuration refused: nats and key take effect only by a restart")
        return None
    if district.digest == now.digest:
        log.info("configuration read again: nothing has changed")
        return None
    log.info("configuration taken")
    return district


async def _drain(working: "asyncio.Future[None]") -> None:
    """Bring every step that has begun to its end, within 20 s."""
    working.cancel()
    done, _ = await asyncio.wait([working], timeout=DRAIN_MAX_S)
    if not done:
        log.warning("stopped in the middle of a step: the next start puts it together again")
    with contextlib.suppress(asyncio.CancelledError, Unavailable):
        if done:
            await working
