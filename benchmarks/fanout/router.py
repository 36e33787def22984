"""A router in a process of its own that says when its destinations are done, and what that cost.

It reads lines of JSON on its standard input: how many deliveries `each` of the destinations `of` is to have
settled since the start. When they have, it answers with a line: how much CPU it has used until then. When its
input ends, so does it.
"""

import asyncio
import json
import sys
import time
from asyncio import StreamReader, StreamReaderProtocol
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.fanout import null
from bus.jetstream import JetStream
from router.daemon import Signals, serve_forever
from router.pipeline import Pipeline

LOOK_S: Final = 0.02


async def main(config: Path, state: Path) -> None:
    null.register()
    signals = Signals()
    async with asyncio.TaskGroup() as group:

        def ready(bus: JetStream, pipeline: Pipeline) -> None:
            group.create_task(_answer(pipeline, signals))

        await serve_forever(config, state, signals, ready=ready)


async def _answer(pipeline: Pipeline, signals: Signals) -> None:
    tasks = StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: StreamReaderProtocol(tasks), sys.stdin)
    _say()
    while line := await tasks.readline():
        task = json.loads(line)
        workers = [pipeline.workers[name] for name in task["of"]]
        while any(worker.outcomes.total() < task["each"] for worker in workers):  # noqa: ASYNC110 - a look costs microseconds
            await asyncio.sleep(LOOK_S)
        await pipeline.outbox.settle()  # what is told of them is on the bus, synced
        _say()
    signals.stop.set()


def _say() -> None:
    print(json.dumps({"cpu_s": time.process_time()}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
