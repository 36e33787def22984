"""Ours: a router of its own process, every write synced; from the first event published to the last audited.

So deciding what is true is in it, which the others do not do.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.common import CONNECTIONS, SHAPES, Given, given, student, tell
from bus import subjects
from bus.codec import decode_audit, encode_event
from bus.embedded import address_in
from bus.errors import Unavailable
from bus.jetstream import JetStream
from bus.messages import Event, Op, Outcome, Step
from bus.port import Message
from console.client import Where, client

PAGE = 2_000
SIZE = 100


async def main(task: Given) -> None:
    state = task.folder / "state"
    async with _router(task, state), JetStream.connect(address_in(state / "nats")) as bus:
        messages = [_event(number) for number in range(task.events)]
        begun_s = time.perf_counter()
        for start in range(0, len(messages), PAGE):
            await bus.publish(subjects.EVENTS, messages[start : start + PAGE])
        audited = await _audited(bus, task.events * len(task.ports))
        await tell(begun_s, audited, task.ports)


def _event(number: int) -> Message:
    fields = student(number)
    event = Event(f"peers.{number}", "sis", "student", Op.CREATE, fields.pop("id"), dict(fields), True, 1)
    return Message(subjects.event("sis", "student", Op.CREATE), encode_event(event), event.id)


async def _audited(bus: JetStream, wanted: int) -> int:
    """How many deliveries are audited as delivered, once there are as many."""
    consumer = await bus.consume(subjects.AUDIT, "benchmark", filters=["audit.delivery.delivered.>"])
    count = 0
    while count < wanted:
        for stored in await consumer.next():
            records = decode_audit(stored.body)
            count += sum(r.step is Step.DELIVERY and r.outcome is Outcome.DELIVERED for r in records)
    return count


# -- the router


@asynccontextmanager
async def _router(task: Given, state: Path) -> AsyncIterator[None]:
    config = task.folder / "integrations"
    _configure(config, task)
    with (task.folder / "router.log").open("wb") as log:
        command = [sys.executable, "-m", "console.cli", "router", "--config", config, "--state", state]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 - it takes a millisecond
    try:
        async with asyncio.timeout(60):
            while not await _answers(state):
                if process.poll() is not None:
                    raise RuntimeError((task.folder / "router.log").read_text())
                await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


async def _answers(state: Path) -> bool:
    try:
        async with client(Where(state=state)) as bus:
            await bus.ask("status")
            return True
    except Unavailable:
        return False


def _configure(config: Path, task: Given) -> None:
    """JSON is YAML."""
    fields = [name for name in student(0) if name != "id"]
    entity = {
        "entity": "student",
        "owner": "sis",
        "fields": {name: {"class": "directory"} for name in fields},
    }
    source = {
        "adapter": "delimited",
        "settings": {"folder": "${state}/sis"},
        "entities": {"student": {"id": "id", "fields": {name: name for name in fields}}},
    }
    _write(config / "district.yaml", {"name": "peers", "timezone": "UTC"})
    _write(config / "entities" / "student.yaml", entity)
    _write(config / "sis.yaml", {"system": "sis", "source": source})
    for endpoint, port in enumerate(task.ports):
        name = f"endpoint{endpoint}"
        _write(config / f"{name}.yaml", {"system": name, "destination": _destination(task, endpoint, port)})


def _destination(task: Given, endpoint: int, port: int) -> dict[str, Any]:
    batch = {"batch": {"path": "/records", "size": SIZE}} if task.name.endswith("in_batches") else {}
    table = {"create": "POST /records", "update": "POST /records", **batch}
    shape = {name: field for name, field in SHAPES[endpoint].items() if field != "id"}
    return {
        "adapter": "http",
        "mode": "live",
        "concurrent": CONNECTIONS,
        "settings": {"url": f"http://127.0.0.1:{port}", "tables": {"student": table}},
        "entities": {"student": {"fields": shape}},
    }


def _write(path: Path, says: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(says))


if __name__ == "__main__":
    asyncio.run(main(given()))
