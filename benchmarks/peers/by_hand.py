"""A loop as one writes it: fetch 500, POST them side by side, one SQLite commit of the audit, acknowledge."""

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingThere
from nats.js import JetStreamContext

from benchmarks.peers.common import CONNECTIONS, STREAM, SUBJECT, Given, given, shaped, stream, tell

FETCH: Final = 500


async def main(task: Given) -> None:
    async with stream(task) as (client, _):
        begun_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(_deliver(task, client.jetstream(), n)) for n in range(len(task.ports))]
        await tell(begun_s, sum(loop.result() for loop in loops), task.ports)


async def _deliver(task: Given, js: JetStreamContext, endpoint: int) -> int:
    """All events to one endpoint; returns how many are audited."""
    audit = _audit(task.folder / f"audit-{endpoint}.sqlite")
    consumer = await js.pull_subscribe(SUBJECT, durable=f"endpoint-{endpoint}", stream=STREAM)
    url = f"http://127.0.0.1:{task.ports[endpoint]}/records"
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    done = 0
    async with aiohttp.ClientSession(connector=connector) as session:
        while done < task.events:
            try:
                batch = await consumer.fetch(FETCH, timeout=5)
            except NothingThere:
                continue
            statuses = await asyncio.gather(*[_post(session, url, endpoint, msg) for msg in batch])
            rows = [
                (msg.metadata.sequence.stream, time.time(), status)
                for msg, status in zip(batch, statuses, strict=True)
            ]
            await asyncio.to_thread(_commit, audit, rows)
            for msg in batch:
                await msg.ack()
            done += len(batch)
    count: int = audit.execute("SELECT count(*) FROM audit WHERE status = 200").fetchone()[0]
    return count


async def _post(session: aiohttp.ClientSession, url: str, endpoint: int, msg: Msg) -> int:
    async with session.post(url, json=shaped(endpoint, json.loads(msg.data))) as answer:
        await answer.read()
        return answer.status


def _audit(path: Path) -> sqlite3.Connection:
    audit = sqlite3.connect(path, check_same_thread=False)
    audit.execute("PRAGMA journal_mode=WAL")
    audit.execute("PRAGMA synchronous=FULL")
    audit.execute("CREATE TABLE audit (seq INTEGER PRIMARY KEY, at REAL, status INTEGER)")
    return audit


def _commit(audit: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    with audit:
        audit.executemany("INSERT OR REPLACE INTO audit VALUES (?, ?, ?)", rows)


if __name__ == "__main__":
    uvloop.run(main(given()))
