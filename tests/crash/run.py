"""The crash test: `make crash`, or `python tests/crash/run.py --kills 200 --seed 7`.

A district and a day of edits, while router, nats-server and destinations are killed, stopped and cut off.
Then all is let go on until it is quiet, and everything must be as if nothing had happened.
"""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":  # run as a file: find the program beside it
    sys.path[:1] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from crash import looks, verdict
from crash.district import ENTITIES, SYSTEMS, Clerk, Export, Ports, configured
from crash.trouble import Troublemaker, plan
from crash.victims import Database, Folder, How, Process, Served, Victim, program
from real_nats import CONF, Wire
from running import SHARED, Place, command, drop, last_read, sampled
from webhook_sender import free_port

from bus.connection import Address
from bus.embedded import binary
from bus.errors import Unavailable
from console.cli import flow
from console.client import Where, client

EDITS_SHARE = 0.05
EDITS_MIN = 25
"""Between two exports: so many, or a share of all people."""
QUIET_MAX_S = 900.0
STUDENTS_ALIKE = 4_225
"""A district of our own, as large as the large one."""


class Report(NamedTuple):
    """What happened, and what is not as it should be."""

    broken: list[str]
    figures: dict[str, object]


class Scene(NamedTuple):
    """All of them at work. `address`: nats-server, past its wire."""

    place: Place
    folder: Path
    address: Address
    victims: dict[str, Victim]
    processes: list[Process]


@asynccontextmanager
async def at_work(folder: Path) -> AsyncIterator[Scene]:
    """The router and what it speaks to, each in a process of its own."""
    nats_port, idp_port, lms_port = free_port(), free_port(), free_port()
    async with Wire(nats_port) as nats, Wire(idp_port) as idp, Wire(lms_port) as lms:
        place = configured(folder, Ports(nats.port, idp.port, lms.port))
        await looks.watched(place)
        router = Process("router", command(place), folder / "router.log")
        served = {
            "nats": Served(_nats(folder, nats_port), nats),
            "idp": Served(program("idp", "crash.accounts", idp_port, folder), idp),
            "lms": Served(program("lms", "crash.records", lms_port, folder), lms),
            "router": Served(router),
        }
        victims: dict[str, Victim] = {
            **served,
            "warehouse": Database(looks.warehouse(place)),
            "buses": Folder(place.state / "buses"),
            "meals": Folder(place.state / "meals"),
        }
        processes = [each.process for each in served.values()]
        for process in processes:
            process.start()
        try:
            yield Scene(place, folder, Address(url=f"nats://127.0.0.1:{nats_port}"), victims, processes)
        finally:
            for process in reversed(processes):
                await asyncio.to_thread(process.stop)


def _nats(folder: Path, port: int) -> Process:
    conf = folder / "nats.conf"
    store = f'"{folder / "jetstream"}"'
    conf.write_text(CONF.format(port=port, store=store, sync="always", ack_v2="false", extra=""))
    return Process("nats", [binary(), "-c", conf], folder / "nats.log")


async def crash_test(
    folder: Path, package: Path, seed: object, kills: int, *, say: Callable[[str], None], long: float = 0.02
) -> Report:
    """Live through it, and judge. `kills`: how much trouble; `long`: the share of it that lasts long."""
    begun_s = time.monotonic()
    export = Export(package)
    async with at_work(folder) as scene:
        hows = {name: each.hows for name, each in scene.victims.items()}
        troubles = plan(seed, kills, hows, long=long)
        day = Day(scene, export, random.Random(f"clerk {seed}"))
        ready = partial(scene.processes[-1].says, '"ready"')
        maker = Troublemaker({**scene.victims, "sis": day}, ready, say)
        await day.goes_on(maker.works(troubles))
        troubled_s = time.monotonic() - begun_s
        say(f"{day.exports} exports, {kills} troubles in {troubled_s:.0f} s. Now it gets quiet")
        unquiet = await _until_quiet(scene, export)
        quiet_s = time.monotonic() - begun_s - troubled_s
        heard = await looks.streams(scene.address)
        broken = [*unquiet, *judged(scene, export, heard)]
    return Report(
        broken,
        _figures(scene, maker, heard, day.exports)
        | {
            "troubled_s": round(troubled_s),
            "quiet_after_s": round(quiet_s),
        },
    )


class Day(Victim):
    """Exports with edits between them. `heard`: how many the router has taken."""

    hows = ()

    def __init__(self, scene: Scene, export: Export, chance: random.Random) -> None:
        self.exports = 0
        self._scene = scene
        self._export = export
        self._clerk = Clerk(export, chance)
        self._edits = max(EDITS_MIN, int(EDITS_SHARE * len(export.tables["users"])))

    def heard(self) -> int:
        return self.exports - (not _taken(self._scene))

    async def suffers(self, how: How, lasts_s: float) -> None:
        raise NotImplementedError

    async def goes_on(self, trouble: Coroutine[None, None, None]) -> None:
        """As long as the trouble lasts."""
        async with asyncio.TaskGroup() as group:
            reviving = group.create_task(_revive(self._scene))
            troubling = group.create_task(trouble)
            while not (self.exports and troubling.done()):
                self.exports += 1
                await _exported(self._scene, self._export, self.exports)
                while not (_taken(self._scene) or troubling.done()):  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.02)
                await asyncio.to_thread(self._clerk.types, self._edits)
            reviving.cancel()


async def _exported(scene: Scene, export: Export, number: int) -> None:
    path = scene.folder / f"export-{number:04d}.zip"
    await asyncio.to_thread(export.write, path)
    drop(scene.place, path)
    path.unlink()


def _taken(scene: Scene) -> bool:
    return not list((scene.place.state / "sis").glob("*.zip"))


async def _revive(scene: Scene) -> None:
    while True:
        for process in scene.processes:
            process.revive()
        await asyncio.sleep(0.05)


async def _until_quiet(scene: Scene, export: Export) -> list[str]:
    """The last export goes through, and nothing is under way any more. What still is after a long while."""
    looked: list[flow.Flow] = []
    async with asyncio.TaskGroup() as group:
        reviving = group.create_task(_revive(scene))
        try:
            async with asyncio.timeout(QUIET_MAX_S):
                await _last_goes_through(scene, export, looked)
                return []
        except TimeoutError:
            return [f"it did not get quiet: {looked[-1] if looked else 'the router does not answer'}"]
        finally:
            reviving.cancel()


async def _last_goes_through(scene: Scene, export: Export, looked: list[flow.Flow]) -> None:
    where = Where(server=scene.address.url, state=scene.place.state)
    before: int | None = None
    while not _taken(scene):  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.05)
    while True:
        try:
            async with client(where) as bus:
                if before is None:
                    before = await last_read(bus)
                    await _exported(scene, export, 9_999)
                while not (looked and looked[-1].done):
                    looked[:] = [await flow.look(bus, "sis", before, 0)]
                    await asyncio.sleep(0.2)
                return
        except Unavailable:
            await asyncio.sleep(0.2)


def judged(scene: Scene, export: Export, heard: looks.Heard) -> Iterator[str]:
    """All that is not as it should be."""
    yield from verdict.events_settled_once(heard.events, heard.audit)
    yield from verdict.ids_say_one_thing(heard.audit)
    yield from verdict.changes_follow_on(heard.changes)
    yield from verdict.deliveries_settled_once(heard.changes, heard.audit, ENTITIES)
    for name, writes in looks.applied(scene.place, scene.folder).items():
        yield from verdict.nothing_made_twice(name, writes)
        yield from verdict.versions_never_go_back(name, writes)
    for name in SYSTEMS:
        held = looks.held(scene.place, name, scene.folder)
        yield from verdict.has_what_it_should(name, looks.wanted(name, export), held)
    for process in scene.processes:
        if "Traceback" in process.log.read_text(errors="replace"):
            yield f"{process.log}: there is a traceback in it"


def _figures(scene: Scene, maker: Troublemaker, heard: looks.Heard, exports: int) -> dict[str, object]:
    outcomes = Counter(
        (each.destination, str(each.outcome)) for each in heard.audit if each.step == "delivery"
    )
    by_victim: Counter[str] = Counter()
    by_how: Counter[str] = Counter()
    for (victim, how), count in maker.done.items():
        by_victim[victim] += count
        by_how[str(how)] += count
    return {
        "troubles": maker.done.total(),
        "by_victim": dict(by_victim),
        "by_how": dict(by_how),
        "ended_by_themselves": {each.name: each.exits for each in scene.processes if each.exits},
        "exports": exports,
        "events": len(heard.events),
        "changes": len(heard.changes),
        "audit_records": len(heard.audit),
        "deliveries": {f"{name} {outcome}": count for (name, outcome), count in sorted(outcomes.items())},
        "writes": {
            name: dict(Counter(each.op for each in writes))
            for name, writes in looks.applied(scene.place, scene.folder).items()
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=200, help="how often somebody is killed, stopped, cut off"
    )
    parser.add_argument("--seed", help="of the plan and of the edits")
    parser.add_argument("--students", type=int, help="a district of our own of that size, not the large one")
    parser.add_argument("--keep", action="store_true", help="keep the folder, as after a failure")
    asked = parser.parse_args()
    seed = asked.seed or f"{random.SystemRandom().randrange(1_000_000)}"
    folder = Path(tempfile.mkdtemp(prefix="yellowbus-crash-"))
    package = SHARED / "district-large.zip"
    if asked.students or not package.exists():
        package = sampled(folder / "sample", students=asked.students or STUDENTS_ALIKE)
    print(f"seed {seed}, {asked.kills} troubles, {package.name}, in {folder}", flush=True)
    begun_s = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun_s:7.1f} s  {what}", flush=True)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us ends all that we have started
    report = asyncio.run(crash_test(folder, package, seed, asked.kills, say=say))
    for name, figure in report.figures.items():
        print(f"{name:>20}: {figure}")
    if report.broken:
        print(f"seed {seed}: {len(report.broken)} are not as they should be, see {folder}:")
        print(*report.broken[:40], sep="\n")
        return 1
    print(f"seed {seed}: all is as it should be")
    if not asked.keep:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
