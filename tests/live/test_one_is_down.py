"""One of three destinations does not answer: the others get all, once, and what is for it waits, visibly.

The test that peers fail: FastStream loses all that is for the dead one (or sends the others dozens of each),
Moleculer Channels sends three of each and loses the rest.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from record_server import TOKEN, RecordServer, record_server
from running import Place, Router, until
from webhook_sender import free_port

from bus import subjects
from bus.codec import encode_event
from bus.jetstream import JetStream
from bus.messages import Event, Op
from bus.port import Message
from console.client import client

EVENTS = 2_000
ALIVE = ("one", "two")
DEAD = "three"


def destination(name: str, port: int) -> str:
    entity = {"table": "students", "fields": {"name": "name", "grade": "grade"}}
    settings = {"url": f"http://127.0.0.1:{port}/{name}", "token": TOKEN}
    says = {"adapter": "http", "mode": "live", "concurrent": 16, "settings": settings}
    return json.dumps({"system": name, "destination": {**says, "entities": {"student": entity}}})


@pytest.fixture
def alive() -> Iterator[RecordServer]:
    with record_server() as server:
        yield server


@pytest.fixture
def port() -> int:
    """Of the dead one."""
    return free_port()


@pytest.fixture
def router(tmp_path: Path, alive: RecordServer, port: int) -> Iterator[Router]:
    config, state = tmp_path / "integrations", tmp_path / "state"
    (config / "entities").mkdir(parents=True)
    (state / "sis").mkdir(parents=True)
    fields = {"name": {}, "grade": {"type": "integer"}}
    source = {
        "adapter": "delimited",
        "settings": {"folder": str(state / "sis")},
        "entities": {"student": {"id": "id", "fields": {name: name for name in fields}}},
    }
    (config / "district.yaml").write_text(json.dumps({"name": "three", "timezone": "UTC"}))
    (config / "entities" / "student.yaml").write_text(
        json.dumps({"entity": "student", "owner": "sis", "fields": fields})
    )
    (config / "sis.yaml").write_text(json.dumps({"system": "sis", "source": source}))
    ports = {**dict.fromkeys(ALIVE, int(alive.url.rpartition(":")[2])), DEAD: port}
    for name, at in ports.items():
        (config / f"{name}.yaml").write_text(destination(name, at))
    with Router(Place(config, state)) as router:
        yield router


async def say(place: Place) -> None:
    """So many students, of whom nobody has heard yet."""
    messages = []
    for number in range(EVENTS):
        fields = {"name": f"Student {number}", "grade": number % 13}
        event = Event(f"e{number}", "sis", "student", Op.CREATE, f"{number}", fields, True, 1)
        subject = subjects.event("sis", "student", Op.CREATE)
        messages.append(Message(subject, encode_event(event), event.id))
    async with JetStream.connect(place.address) as bus:
        await bus.publish(subjects.EVENTS, messages)


async def status(place: Place) -> dict[str, Any]:
    async with client(place.where) as bus:
        found: dict[str, Any] = (await bus.ask("status"))["destinations"]
    return found


def times(server: RecordServer, name: str) -> Counter[int]:
    """How often records came, by how many came so often."""
    return Counter(Counter(server.tenant(name).writes).values())


async def test_the_others_get_each_record_once_and_the_dead_ones_wait_and_go_when_it_is_back(
    router: Router, alive: RecordServer, port: int
) -> None:
    await router.start()
    await say(router.place)
    for name in ALIVE:
        await until(lambda name=name: len(alive.tenant(name).writes) >= EVENTS, 60)  # type: ignore[misc]
    async for found in looks(router.place):
        if all(not found[name]["waiting"] for name in ALIVE) and found[DEAD]["unreachable"]:
            break

    assert [times(alive, name) for name in ALIVE] == [Counter({1: EVENTS})] * 2
    assert (found[DEAD]["waiting"], found[DEAD]["failed"]) == (EVENTS, 0)
    assert f"127.0.0.1:{port}" in found[DEAD]["unreachable"]

    router.kill()  # and who restarts it in the middle of that, loses nothing either
    with record_server(port) as back:
        await router.start()
        await until(lambda: len(back.tenant(DEAD).table("students")) == EVENTS, 60)
        async for found in looks(router.place):
            if not found[DEAD]["waiting"]:
                break

        assert times(back, DEAD) == Counter({1: EVENTS})
    assert [times(alive, name) for name in ALIVE] == [Counter({1: EVENTS})] * 2


async def looks(place: Place) -> AsyncIterator[dict[str, Any]]:
    """How it stands, again and again."""
    for _ in range(2_000):
        yield await status(place)
