"""One configuration at work: sources, intake, and for each destination a marker and a worker, wired together.

Everything that touches the world comes in from outside (`World`), so that the simulator runs these very
parts.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from bus import subjects
from bus.adapter import EntityShape, Listener, Source, Surroundings
from bus.messages import Record
from bus.port import Bus
from router.core.delivery import Route
from router.core.identity import hub_text, match_texts
from router.core.mapping import (
    compile_destination,
    compile_source,
    told_as_heard,
    told_fields,
)
from router.core.rules import DestinationRule, District, SourceRule, SystemRule
from router.core.shapes import destination_shape, source_shape
from router.database import Database
from router.delivery.awaited import Awaited
from router.delivery.both_ways import BothWays
from router.delivery.gate import Gate
from router.delivery.marker import Marker
from router.delivery.order import Order
from router.delivery.pauses import Pauses
from router.delivery.worker import Worker
from router.intake import Intake
from router.looks import looks
from router.outbox import Outbox
from router.privacy import FOLDER
from router.records import Links, Records
from router.referrers import follow_all
from router.replay.jobs import Jobs
from router.replay.schedule import Daily
from router.sources.concluding import Concluding
from router.sources.dependencies import Dependencies
from router.sources.heard import QUERIES as HEARD_QUERIES
from router.sources.heard import Heard
from router.sources.holds import Holds
from router.sources.judging import Judging
from router.sources.listening import ListenerRunner
from router.sources.planning import Planning
from router.sources.publishing import Publishing
from router.sources.rekeying import Rekeying
from router.sources.runner import SourceRunner, Waiting
from router.sources.said import Reader, Told
from router.sources.shelf import QUERIES as SHELF_QUERIES
from router.sources.shelf import Shelf
from router.sources.staging import Mapped
from router.store import QUERIES, Store
from router.timekeeper import Timekeeper
from router.watch import Watch
from router.world import World

RECORDS_AT_HAND: Final = 6_000
LINKS_AT_HAND: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The parts at work for one configuration."""

    district: District
    world: World
    bus: Bus
    tokens: subjects.Tokens
    store: Store
    outbox: Outbox
    intake: Intake
    timekeeper: Timekeeper
    watch: Watch
    markers: Mapping[str, Marker]
    workers: Mapping[str, Worker]
    pauses: Pauses
    jobs: Jobs
    sources: Mapping[str, SourceRunner | ListenerRunner]

    async def run(self) -> None:
        """Work until cancelled: then every step that has begun is brought to its end, the outbox last."""
        async with asyncio.TaskGroup() as telling:
            teller = telling.create_task(self.outbox.run())
            try:
                async with asyncio.TaskGroup() as working:
                    working.create_task(self.intake.run())
                    working.create_task(self.timekeeper.run())
                    working.create_task(self.watch.run())
                    working.create_task(self.jobs.run())
                    for marker in self.markers.values():
                        working.create_task(marker.run())
                    for worker in self.workers.values():
                        working.create_task(worker.run())
                    for source in self.sources.values():
                        working.create_task(source.run())
            finally:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(2.0):
                        await self.outbox.settle()
                teller.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What all parts of one pipeline use together."""

    district: District
    world: World
    epoch: int
    zone: ZoneInfo
    tokens: subjects.Tokens
    store: Store
    outbox: Outbox
    records: Records
    awaited: Awaited
    pauses: Pauses
    stack: AsyncExitStack


@contextlib.asynccontextmanager
async def build(district: District, world: World, epoch: int) -> AsyncIterator[Pipeline]:
    """Wire one configuration. On leaving, adapters and files are closed."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            world.open_database(world.state / "index.sqlite", QUERIES["schema"])
        )
        store = Store(database)
        outbox = Outbox(store, world.bus, world.sleep, world.trouble)
        await outbox.recover()
        tokens = subjects.Tokens(district.key)
        shared = _Shared(
            district=district,
            world=world,
            epoch=epoch,
            zone=ZoneInfo(district.timezone),
            tokens=tokens,
            store=store,
            outbox=outbox,
            records=Records(store.records, RECORDS_AT_HAND),
            awaited=Awaited(store),
            pauses=Pauses(store, outbox, tokens, world),
            stack=stack,
        )
        await shared.awaited.release()
        await follow_all(store, district)
        systems = district.systems.values()
        workers = {each.name: _worker(shared, each, each.destination) for each in systems if each.destination}
        shared.awaited.wakers = [worker.wake for worker in workers.values()]
        shared.pauses.wakers = {name: worker.wake for name, worker in workers.items()}
        jobs = Jobs(store=store, outbox=outbox, lines=workers, district=district, world=world)
        yield Pipeline(
            district=district,
            world=world,
            bus=world.bus,
            tokens=tokens,
            store=store,
            outbox=outbox,
            intake=_intake(shared, tuple(workers.values())),
            timekeeper=Timekeeper(
                bus=world.bus,
                store=store,
                tokens=tokens,
                now_ms=world.now_ms,
                sleep=world.sleep,
                trouble=world.trouble,
            ),
            watch=_watch(shared, workers, jobs),
            pauses=shared.pauses,
            markers={
                each.name: _marker(shared, each.name, each.destination, workers[each.name])
                for each in systems
                if each.destination
            },
            workers=workers,
            jobs=jobs,
            sources={each.name: await _source(shared, each, each.source) for each in systems if each.source},
        )


def _intake(shared: _Shared, workers: Sequence[Worker]) -> Intake:
    def wake() -> None:
        for worker in workers:
            worker.wake()

    world = shared.world
    return Intake(
        bus=world.bus,
        store=shared.store,
        outbox=shared.outbox,
        records=shared.records,
        links=Links(shared.store.links, LINKS_AT_HAND),
        district=shared.district,
        tokens=shared.tokens,
        epoch=shared.epoch,
        now_ms=world.now_ms,
        sleep=world.sleep,
        committed=wake,
        trouble=world.trouble,
        may_have={each.system: each.both_ways.may_have for each in workers},
    )


def _watch(shared: _Shared, workers: Mapping[str, Worker], jobs: Jobs) -> Watch:
    world, store = shared.world, shared.store
    daily = Daily(store, jobs, shared.district, jobs.comparable, world.now_ms)
    found = looks(world.bus, store, shared.outbox, shared.district, workers, shared.pauses, world.now_ms)
    return Watch((*found, daily.look), world.sleep, world.trouble)


def _worker(shared: _Shared, system: SystemRule, rule: DestinationRule) -> Worker:
    world, entities = shared.world, shared.district.entities
    shapes = tuple(destination_shape(each, entities[name]) for name, each in rule.entities.items())
    routes = {
        name: Route(each, compile_destination(each, entities[name]), entities[name].owner)
        for name, each in rule.entities.items()
    }
    surroundings = _surroundings(world, system.name, "destination", shapes)
    adapter = world.make_destination(system, replace(surroundings, concurrent=rule.concurrent))
    shared.stack.push_async_callback(adapter.close)
    return Worker(
        system=system.name,
        adapter=adapter,
        routes=routes,
        rule=rule,
        both_ways=(both_ways := _both_ways(shared, system, rule)),
        store=shared.store,
        records=shared.records,
        outbox=shared.outbox,
        gate=Gate(system.name, shared.pauses, rule.schedule, shared.zone),
        order=Order(
            system.name, routes, entities, shared.store, shared.records, shared.awaited, both_ways.as_told
        ),
        key=shared.district.key,
        epoch=shared.epoch,
        tokens=shared.tokens,
        now_ms=world.now_ms,
        sleep=world.sleep,
        jitter=world.jitter,
        trouble=world.trouble,
    )


def _both_ways(shared: _Shared, both: SystemRule, rule: DestinationRule) -> BothWays:
    entities, system = shared.district.entities, both.name
    names = {
        name: told_fields(each, entities[name])
        for name, each in rule.entities.items()
        if system in entities[name].two_way
    }
    leaves = frozenset(name for name, each in entities.items() if system in each.leaves)
    tokens = shared.tokens

    def tokens_of(record: Record) -> list[str]:
        texts = match_texts(entities[record.entity], record.values)
        named = [f"{record.entity}/{text}" for text in texts if text]
        return [tokens(text) for text in [*named, hub_text(record.key)]]

    lags_s = {name: each.lags_s[system] for name, each in entities.items() if system in each.lags_s}
    skews_ms = {name: each.skews_ms[system] for name, each in entities.items() if system in each.skews_ms}
    heard = both.source.entities if both.source else {}
    as_heard = {
        name: told_as_heard(rule.entities[name], heard[name], entities[name])
        for name in names
        if name in heard
    }
    return BothWays(system, names, leaves, shared.store, tokens_of, lags_s, as_heard, skews_ms)


def _marker(shared: _Shared, system: str, rule: DestinationRule, worker: Worker) -> Marker:
    world = shared.world
    return Marker(
        system=system,
        rule=rule,
        bus=world.bus,
        store=shared.store,
        now_ms=world.now_ms,
        sleep=world.sleep,
        marked=worker.wake,
        placed=partial(shared.pauses.show, system),
        outbox=shared.outbox,
        trouble=world.trouble,
    )


async def _source(shared: _Shared, system: SystemRule, rule: SourceRule) -> SourceRunner | ListenerRunner:
    world, entities, waiting = shared.world, shared.district.entities, Waiting()
    shapes = tuple(source_shape(each, entities[name]) for name, each in rule.entities.items())
    surroundings = _surroundings(world, system.name, "source", shapes)
    source = world.make_source(system, replace(surroundings, waiting=waiting))
    shared.stack.push_async_callback(source.close)
    if isinstance(source, Listener):
        return await _listener(shared, system.name, rule, source)
    return await _reader(shared, system.name, rule, source, waiting)


async def _reader(
    shared: _Shared, system: str, rule: SourceRule, source: Source, waiting: Waiting
) -> SourceRunner:
    world = shared.world
    shelf = Shelf(await _source_file(shared, system, SHELF_QUERIES["schema"]))
    return SourceRunner(
        system=system,
        source=source,
        waiting=waiting,
        shelf=shelf,
        planning=planning_of(shared.district, world, shared.store, system, rule, shelf),
        holds=Holds(
            system=system,
            shelf=shelf,
            dependencies=Dependencies(system, shelf, shared.store, shared.district),
            outbox=shared.outbox,
            bus=world.bus,
            approval_s=shared.district.guards.approval_s,
            tokens=shared.tokens,
            now_ms=world.now_ms,
        ),
        publishing=Publishing(system, shelf, world.bus, shared.tokens),
        bus=world.bus,
        outbox=shared.outbox,
        now_ms=world.now_ms,
        sleep=world.sleep,
        trouble=world.trouble,
    )


def planning_of(
    district: District, world: World, store: Store, system: str, rule: SourceRule, shelf: Shelf
) -> Planning:
    """How a source's readings become plans on a shelf: its own, or a copy of it."""
    zone, entities = ZoneInfo(district.timezone), district.entities
    return Planning(
        system=system,
        shelf=shelf,
        mapped=[
            Mapped.of(each, entities[name], compile_source(each, entities[name], zone))
            for name, each in rule.entities.items()
        ],
        concluding=Concluding(system, shelf, store, world.bus, district),
        judging=Judging(
            system=system,
            shelf=shelf,
            store=store,
            bus=world.bus,
            dependencies=Dependencies(system, shelf, store, district),
            guards=district.guards,
            key=district.key,
        ),
        rekeying=Rekeying(
            system=system,
            shelf=shelf,
            store=store,
            bus=world.bus,
            district=district,
            tokens=subjects.Tokens(district.key),
        ),
        district=district,
    )


async def _listener(shared: _Shared, system: str, rule: SourceRule, listener: Listener) -> ListenerRunner:
    world, entities = shared.world, shared.district.entities
    told = [Told.of(each, entities[name], shared.zone) for name, each in rule.entities.items()]
    return ListenerRunner(
        system=system,
        listener=listener,
        reader=Reader(system, told, shared.district.key),
        heard=Heard(await _source_file(shared, system, HEARD_QUERIES["schema"])),
        bus=world.bus,
        outbox=shared.outbox,
        now_ms=world.now_ms,
        sleep=world.sleep,
        trouble=world.trouble,
    )


async def _source_file(shared: _Shared, system: str, schema: str) -> Database:
    path = shared.world.state / "sources" / f"{system}.sqlite"
    return await shared.stack.enter_async_context(shared.world.open_database(path, schema))


def _surroundings(world: World, system: str, side: str, shapes: tuple[EntityShape, ...]) -> Surroundings:
    folder = world.state / "adapters" / system / side
    for each in (folder.parent.parent, folder.parent, folder):
        each.mkdir(mode=FOLDER, exist_ok=True)
    return Surroundings(system=system, state=folder, now_ms=world.now_ms, sleep=world.sleep, entities=shapes)
