"""The whole way: an export to three local destinations, through a router of its own process.

The large district of ../shared/data if it is there, else one of our own of the same size. The identity
provider is replaced by a second warehouse: a SCIM server would measure the SCIM server.

    python -m benchmarks whole
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from bus import subjects
from bus.codec import decode_audit, encode_event
from bus.embedded import address_in
from bus.errors import Unavailable
from bus.jetstream import JetStream
from bus.messages import Event, Op, Step
from bus.port import Message
from console.cli import flow
from console.client import Where, client

REPOSITORY: Final = Path(__file__).parents[1]
LARGE: Final = REPOSITORY.parent / "shared" / "data" / "district-large.zip"
STUDENTS_ALIKE: Final = 4_225

DELIVERIES_FLOOR: Final = 12_000
AGAIN_FLOOR_S: Final = 2.0
LATENCY_FLOOR_MS: Final = 30.0
MEMORY_FLOOR_MB: Final = 200.0

EVENTS_PER_S: Final = 200
LATENCY_EVENTS: Final = 2_000

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure; one row per figure. `floor` is the least for a rate, the most for a time or a size."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_throughput(Path(folder) / "whole")) + asyncio.run(_latency(Path(folder) / "late"))


# -- an export, and the same again


async def _throughput(folder: Path) -> list[Row]:
    package = _package(folder)
    async with router(folder, destinations=("warehouse", "idp", "assessment")) as process:
        first = await _through(folder, package, 0)
        second = await _through(folder, package, 1)
        memory_mb = peak_mb(process.pid)
    first_s, second_s = _took_s(first), _took_s(second)
    deliveries = first.delivered
    if first.failed or deliveries < first.rows:
        raise RuntimeError(f"not all was delivered: {first.destinations}")
    return [
        _least("whole: file to three destinations", deliveries / first_s, "deliveries/s", DELIVERIES_FLOOR)
        | {"of": f"{first.rows:,} rows, {deliveries:,} deliveries in {first_s:.1f} s"},
        _most("whole: the same file again", second_s, "s", AGAIN_FLOOR_S)
        | {"of": f"{second.rows:,} rows, {second.events} events"},
        _most("whole: peak memory of the router", memory_mb, "MB", MEMORY_FLOOR_MB),
    ]


def _took_s(found: flow.Flow) -> float:
    """From the beginning of the read to its end, or to the last delivery: by the router's own clock, so that
    it does not matter when we looked.
    """
    assert found.read is not None
    ends = [each["last_delivery_ms"] for each in found.destinations.values()] if found.events else []
    return float(max([found.read["ended_ms"], *ends]) - found.read["started_ms"]) / 1000


def _package(folder: Path) -> Path:
    if LARGE.exists():
        return LARGE
    command = [sys.executable, "-m", "console.cli", "sample", "--students", str(STUDENTS_ALIKE), str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.zip"))


async def _through(folder: Path, package: Path, after_read: int) -> flow.Flow:
    inbox = folder / "state" / "sis"
    shutil.copyfile(package, inbox / "export.part")
    (inbox / "export.zip.ready").touch()
    (inbox / "export.part").rename(inbox / "export.zip")
    async with asyncio.timeout(300), client(Where(state=folder / "state")) as bus:
        while True:
            found = await flow.look(bus, "sis", after_read, 0)
            if found.done:
                return found
            await asyncio.sleep(0.5)  # each look costs the router some milliseconds


# -- one event after the other


async def _latency(folder: Path) -> list[Row]:
    """Publish to audited: the delivery is committed at the destination before its audit record is stored."""
    begun_ms: dict[str, float] = {}
    done_ms: dict[str, float] = {}
    async with (
        router(folder, destinations=("warehouse",)),
        JetStream.connect(address_in(folder / "state" / "nats")) as bus,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_heard(bus, done_ms, LATENCY_EVENTS))
        await asyncio.sleep(0.5)
        await _at_a_pace(bus, begun_ms, group)
    times = sorted(done_ms[key] - begun_ms[key] for key in begun_ms)
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return [
        _most("whole: publish to delivered, p99", p99, "ms", LATENCY_FLOOR_MS)
        | {"of": f"{EVENTS_PER_S}/s, every write synced, p50 {p50:.1f} ms, {len(times):,} events"}
    ]


async def _at_a_pace(bus: JetStream, begun_ms: dict[str, float], group: asyncio.TaskGroup) -> None:
    start_s = time.monotonic()
    for number in range(LATENCY_EVENTS):
        await asyncio.sleep(max(0.0, start_s + number / EVENTS_PER_S - time.monotonic()))
        at_ms = time.time() * 1000
        begun_ms[f"org/{number}"] = at_ms
        fields = {"name": f"School {number}", "type": "school"}
        event = Event(f"bench.{number}", "sis", "org", Op.CREATE, str(number), fields, True, int(at_ms) - 1)
        message = Message(subjects.event("sis", "org", Op.CREATE), encode_event(event), event.id)
        group.create_task(_publish(bus, message))


async def _publish(bus: JetStream, message: Message) -> None:
    await bus.publish(subjects.EVENTS, [message])


async def _heard(bus: JetStream, done_ms: dict[str, float], count: int) -> None:
    consumer = await bus.consume(subjects.AUDIT, "benchmark", filters=["audit.delivery.>"])
    while len(done_ms) < count:
        for stored in await consumer.next():
            at_ms = time.time() * 1000
            for record in decode_audit(stored.body):
                if record.step is Step.DELIVERY:
                    done_ms[record.key] = at_ms


# -- the router


@asynccontextmanager
async def router(folder: Path, *, destinations: tuple[str, ...]) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """`yellowbus router` on a district of its own, from the time it answers."""
    config, state = folder / "integrations", folder / "state"
    _configure(config, destinations)
    for name in ("sis", "assessment"):
        (state / name).mkdir(parents=True)
    with (folder / "router.log").open("wb") as log:
        arguments = ["router", "--config", str(config), "--state", str(state)]
        process = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
            [sys.executable, "-m", "console.cli", *arguments], stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(60):
            while not await _answers(state):
                if process.poll() is not None:
                    raise RuntimeError((folder / "router.log").read_text())
                await asyncio.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _configure(config: Path, destinations: tuple[str, ...]) -> None:
    shutil.copytree(REPOSITORY / "integrations", config)
    source = yaml.safe_load((config / "sis.yaml").read_text())
    source["source"]["settings"] |= {"settle": 60, "poll": 0.05}
    source.pop("destination", None)  # nobody else tells: what the figure has always measured
    source["source"]["entities"]["enrollment"]["fields"].pop("state")
    (config / "sis.yaml").write_text(json.dumps(source))
    for path in (config / "entities").glob("*.yaml"):
        entity = yaml.safe_load(path.read_text())
        for field in entity["fields"].values():
            field.pop("owner", None)
        path.write_text(json.dumps(entity))
    (config / "lms.yaml").unlink()
    warehouse = yaml.safe_load((config / "warehouse.yaml").read_text())
    warehouse["destination"].pop("linger", None)
    (config / "warehouse.yaml").write_text(json.dumps(warehouse))
    assessment = yaml.safe_load((config / "assessment.yaml").read_text())
    assessment["destination"]["linger"] = "500ms"  # the example waits 2 s for more before it writes its file
    (config / "assessment.yaml").write_text(json.dumps(assessment))
    second = json.loads(json.dumps(warehouse).replace("warehouse", "idp"))
    (config / "idp.yaml").write_text(json.dumps(second))
    for name in {"warehouse", "idp", "assessment"} - set(destinations):
        (config / f"{name}.yaml").unlink()


async def _answers(state: Path) -> bool:
    try:
        async with client(Where(state=state)) as bus:
            await bus.ask("status")
            return True
    except Unavailable:
        return False


def peak_mb(pid: int) -> float:
    """The most memory that a process ever had, in MB (VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _least(name: str, value: float, unit: str, floor: float) -> Row:
    return {"name": name, "value": value, "unit": unit, "floor": floor, "below": value < floor}


def _most(name: str, value: float, unit: str, floor: float) -> Row:
    return {"name": name, "value": value, "unit": unit, "floor": floor, "below": value > floor}
