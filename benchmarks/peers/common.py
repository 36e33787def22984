"""What the contenders share: the events, the shapes that endpoints want, when all is done."""

import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import nats
from nats.aio.client import Client

from bus.connection import Address
from bus.embedded import embedded

STREAM: Final = "PEERS"
SUBJECT: Final = "peers.student"
CONNECTIONS: Final = 64
SHAPES: Final[tuple[dict[str, str], ...]] = (
    {"user_id": "id", "login": "username", "mail": "email", "first": "givenName", "last": "familyName"},
    {"sis_id": "id", "name": "username", "grade": "grade", "school": "school"},
    {"student": "id", "given": "givenName", "family": "familyName", "address": "address", "note": "note"},
)
"""What each endpoint calls the fields that it gets."""


class Given(NamedTuple):
    """What a contender is told to do."""

    name: str
    folder: Path
    events: int
    ports: list[int]


def given() -> Given:
    """As `benchmarks.peers` has said it."""
    says = json.loads(sys.argv[1])
    return Given(says["name"], Path(says["folder"]), says["events"], says["ports"])


def student(number: int) -> dict[str, str]:
    """One event's fields: some 350 bytes as JSON."""
    return {
        "id": f"s{number:06}",
        "username": f"student.{number:06}",
        "email": f"student.{number:06}@students.example.org",
        "givenName": f"Given{number % 977}",
        "familyName": f"Family{number % 1_013}",
        "grade": f"{number % 12 + 1}",
        "school": f"school-{number % 20:02}",
        "address": f"{number % 400} Long Street, Town of {number % 31}",
        "note": "x" * 110,
    }


@asynccontextmanager
async def stream(task: Given, *also: str) -> AsyncIterator[tuple[Client, Address]]:
    """A server with all events on a stream, and another one (name, subject) if it is wanted. It syncs now and
    then, as is usual.
    """
    async with embedded(task.folder / "nats", synced=False) as address:
        client = await nats.connect(address.url, user=address.user, password=address.password)
        js = client.jetstream()
        await js.add_stream(name=STREAM, subjects=[SUBJECT])
        if also:
            await js.add_stream(name=also[0], subjects=[also[1]])
        for number in range(task.events):
            await client.publish(SUBJECT, json.dumps(student(number)).encode())
        await client.flush()
        while (await js.stream_info(STREAM)).state.messages < task.events:
            pass
        yield client, address
        await client.close()


def shaped(endpoint: int, fields: dict[str, Any]) -> dict[str, Any]:
    """As an endpoint wants it."""
    return {name: fields[field] for name, field in SHAPES[endpoint].items()}


async def received(ports: list[int]) -> int:
    """How many records all endpoints together have got."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{ports[0]}/received") as it:
        return int(await it.text())


async def tell(begun_s: float, audited: int, ports: list[int]) -> None:
    """The result, as the last line. Called when all is done."""
    took_s = time.perf_counter() - begun_s
    print(json.dumps({"took_s": took_s, "audited": audited, "received": await received(ports)}))
