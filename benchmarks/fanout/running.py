"""Starting that router, telling it what changes, and waiting for it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.fanout.district import configure
from benchmarks.whole import peak_mb
from bus import subjects
from bus.codec import decode_audit
from bus.embedded import address_in
from bus.jetstream import JetStream
from bus.messages import Outcome, Step
from bus.port import Message

PAGE: Final = 2_000
REPOSITORY: Final = Path(__file__).parents[2]
LINE_MAX: Final = 1 << 20


class Took(NamedTuple):
    """Of the router: from the first event published until all is told, and CPU of its process meanwhile."""

    wall_s: float
    cpu_s: float


class Running:
    """One router at work."""

    def __init__(self, process: asyncio.subprocess.Process, bus: JetStream, cpu_s: float) -> None:
        self._process = process
        self._bus = bus
        self._cpu_s = cpu_s

    async def took(self, events: Sequence[Message], of: Collection[str], each: int) -> Took:
        """Publish these, and wait until each of these destinations has settled so many since the start."""
        assert self._process.stdin is not None
        begun_s = asyncio.get_running_loop().time()
        self._process.stdin.write(json.dumps({"of": sorted(of), "each": each}).encode() + b"\n")
        for start in range(0, len(events), PAGE):
            await self._bus.publish(subjects.EVENTS, events[start : start + PAGE])
        before_s, said = self._cpu_s, await self._said()
        self._cpu_s = said["cpu_s"]
        return Took(asyncio.get_running_loop().time() - begun_s, self._cpu_s - before_s)

    async def audited(self, outcome: Outcome) -> int:
        """How many deliveries are audited with this outcome, each once."""
        ids = set[str]()
        async for page in self._bus.read(subjects.AUDIT, subject=f"audit.delivery.{outcome}.>"):
            for stored in page:
                ids.update([r.id for r in decode_audit(stored.body) if r.step is Step.DELIVERY])
        return len(ids)

    @property
    def peak_mb(self) -> float:
        """The most memory that the router's process ever had."""
        return peak_mb(self._process.pid)

    async def _said(self) -> dict[str, Any]:
        return await _line(self._process)


@asynccontextmanager
async def running(folder: Path, destinations: Mapping[str, dict[str, Any]]) -> AsyncIterator[Running]:
    """A router with these destinations, from the time it is ready."""
    config, state = folder / "integrations", folder / "state"
    configure(config, destinations)
    (state / "sis").mkdir(parents=True)
    with (folder / "router.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.fanout.router", str(config), str(state)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=REPOSITORY,
            limit=LINE_MAX,
        )
    try:
        async with asyncio.timeout(60):
            first = await _line(process)
        async with JetStream.connect(address_in(state / "nats")) as bus:
            yield Running(process, bus, first["cpu_s"])
    except EOFError:
        raise RuntimeError((folder / "router.log").read_text()) from None
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    found: dict[str, Any] = json.loads(line)
    return found
