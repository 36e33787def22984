"""`yellowbus explain`, as a person reads it: ids of a record that is several, and what is late."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from click.testing import CliRunner

from bus.jetstream import JetStream
from bus.services import Command, serve
from console.cli import main

HOUR_MS = 3_600_000
ANSWER: dict[str, Any] = {
    "timezone": "America/New_York",
    "hits": ["student/1"],
    "at_ms": 100 * HOUR_MS,
    "key": "student/1",
    "entity": "student",
    "rev": 4,
    "deleted": False,
    "one_with": ["student/2"],
    "fields": {},
    "systems": {
        "sis": {
            "local_id": "1",
            "aliases": ["2"],
            "is_there": True,
            "holds_rev": 4,
            "holds_since_ms": 90 * HOUR_MS,
            "not_taken_up": {"email": 10 * HOUR_MS, "phone": 90 * HOUR_MS},
            "takes_up_within_s": 36 * 3600,
        },
        "lms": {
            "local_id": "",
            "is_there": False,
            "waits": {
                "state": "waiting",
                "why": "waits because the breaker of lms is open: lms: 503",
                "since_ms": 90 * HOUR_MS,
                "until_ms": 100 * HOUR_MS,
            },
        },
    },
}


@asynccontextmanager
async def answering(bus: JetStream) -> AsyncIterator[None]:
    async def answer(operator: str, request: bytes) -> bytes:
        return json.dumps({"version": 1, **ANSWER}).encode()

    command = Command(what="explain", answer=answer, description="a test")
    services = await serve(bus.connection, "yellowbus-router", "1.0.0", "a test", [command])
    await bus.connection.client.flush()
    try:
        yield
    finally:
        await services.close()


async def test_aliases_and_what_is_late_are_shown(bus: JetStream) -> None:
    where = ["--server", bus.connection.address.url]
    async with answering(bus):
        found = await asyncio.to_thread(CliRunner().invoke, main, ["explain", "student/1", *where])

    text = " ".join(found.stdout.split())
    assert "one with student/2 (yellowbus records split takes them apart)" in text
    assert "1, 2" in text
    assert "rev 4 since 1970-01-04 13:00:00 -05:00" in text
    assert text.count("(late)") == 1
    assert "email not taken up since" in text and "phone not taken up since" in text


async def test_what_a_system_is_to_be_told_yet_says_why_since_when_and_until_when(bus: JetStream) -> None:
    async with answering(bus):
        where = ["--server", bus.connection.address.url]
        found = await asyncio.to_thread(CliRunner().invoke, main, ["explain", "student/1", *where])

    line = "".join(line[-200:] for line in found.stdout.splitlines())
    for word in ("breaker", "1970-01-04", "13:00:00", "until", "23:00:00"):
        assert word in line, found.stdout
