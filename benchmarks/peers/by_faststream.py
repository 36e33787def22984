"""FastStream (from PyPI) as its documentation shows it: one subscriber for each endpoint."""

import asyncio
import json
import time
from typing import Any, Final

import aiohttp
from faststream.nats import JStream, NatsBroker, PullSub

from benchmarks.peers.common import CONNECTIONS, STREAM, SUBJECT, Given, shaped, stream, tell

WORKERS: Final = 64
PULL: Final = 200
AUDIT: Final = "PEERS_AUDIT"


async def main(task: Given, *, pull: bool) -> None:
    async with stream(task, AUDIT, "audit.>") as (client, address):
        server = address.url.replace("://", f"://{address.user}:{address.password}@")
        broker = NatsBroker(server, logger=None)
        connector = aiohttp.TCPConnector(limit=len(task.ports) * CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            for endpoint in range(len(task.ports)):
                _subscribe(broker, session, task, endpoint, pull=pull)
            begun_s = time.perf_counter()
            await broker.start()
            js, wanted = client.jetstream(), task.events * len(task.ports)
            while (audited := (await js.stream_info(AUDIT)).state.messages) < wanted:  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.1)
            await tell(begun_s, audited, task.ports)
            await broker.stop()


def _subscribe(
    broker: NatsBroker, session: aiohttp.ClientSession, task: Given, endpoint: int, *, pull: bool
) -> None:
    url = f"http://127.0.0.1:{task.ports[endpoint]}/records"
    how: dict[str, Any] = {"pull_sub": PullSub(batch_size=PULL)} if pull else {"max_workers": WORKERS}

    @broker.subscriber(SUBJECT, stream=JStream(STREAM, declare=False), durable=f"endpoint-{endpoint}", **how)
    async def deliver(fields: dict[str, Any]) -> None:
        async with session.post(url, json=shaped(endpoint, fields)) as answer:
            await answer.read()
            says = {"endpoint": endpoint, "id": fields["id"], "status": answer.status, "at": time.time()}
        await broker.publish(json.dumps(says), f"audit.{endpoint}", stream=AUDIT)
