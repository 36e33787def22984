"""A paused destination is sent nothing, whatever ends and starts meanwhile: with real processes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Place, Router, check_destinations, drop, lay_out, run_command, sampled

from bus.codec import decode_audit
from bus.jetstream import JetStream
from bus.messages import AuditRecord
from console.client import client

STUDENTS = 20


async def looks(place: Place) -> AsyncIterator[dict[str, Any]]:
    """The destinations as the status has them, again and again, for a minute."""
    async with asyncio.timeout(60):
        while True:
            yield await look(place)
            await asyncio.sleep(0.02)


async def look(place: Place) -> dict[str, Any]:
    async with client(place.where) as bus:
        found: dict[str, Any] = (await bus.ask("status"))["destinations"]
        return found


async def rests(place: Place) -> dict[str, Any]:
    """Wait until warehouse has all and assessment has work: how it stands."""
    async for found in looks(place):
        warehouse, assessment = found["warehouse"], found["assessment"]
        there = warehouse["outcomes"].get("delivered", 0)
        if there and not warehouse["waiting"] and assessment["waiting"]:
            return found
    raise AssertionError


async def shown(place: Place, system: str) -> bool:
    """What `nats consumer info CHANGES` of it says."""
    async with JetStream.connect(place.address) as bus:
        return bool((await bus.connection.api(f"CONSUMER.INFO.CHANGES.{system}")).get("paused"))


async def told(place: Place) -> list[AuditRecord]:
    """What the audit has of what people did, each act once."""
    found: dict[str, AuditRecord] = {}
    async with JetStream.connect(place.address) as bus:
        async for page in bus.read("AUDIT", subject="audit.operator.>"):
            found |= {each.id: each for stored in page for each in decode_audit(stored.body)}
    return list(found.values())


async def test_a_pause_outlives_a_kill_and_a_rebuilt_index_and_what_waited_goes_when_it_is_resumed(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    told_so = await run_command(place, "pause", "assessment", "--why", "the vendor moves house")
    package = sampled(tmp_path, students=STUDENTS)
    drop(place, package)
    before = await rests(place)
    assert await shown(place, "assessment")
    router.kill()
    await router.start()
    after = (await look(place))["assessment"]
    assert await shown(place, "assessment") and not await shown(place, "warehouse")
    router.stop()
    (place.state / "index.sqlite").unlink()
    rebuilt = await run_command(place, "rebuild", "--config", str(place.config))
    await router.start()
    again = (await look(place))["assessment"]

    assert "assessment is paused until it is resumed" in told_so.output
    assert rebuilt.exit_code == 0, rebuilt.output
    for found in (before["assessment"], after, again):
        assert found["paused"]["why"] == "the vendor moves house"
        assert found["outcomes"] == {} and found["waiting"] > STUDENTS
    assert not list((place.state / "assessment").iterdir())
    seen = (await run_command(place, "status")).output
    assert "until it is resumed: the vendor moves house" in " ".join(seen.split())

    resumed = await run_command(place, "resume", "assessment", "--why", "they are in")
    assert resumed.exit_code == 0 and "assessment goes on" in resumed.output
    async for each in looks(place):
        if not each["assessment"]["waiting"]:
            break
    check_destinations(place, package)
    assert not await shown(place, "assessment")
    acts = await told(place)
    assert [each.reason for each in acts] == [
        "paused until it is resumed: the vendor moves house",
        "resumed: they are in",
    ]
    assert all(each.who for each in acts)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pause", "moon", "--why", "x"], "'moon' is no destination here (expected one of:"),
        (["pause", "warehouse", "--why", " "], "why: nothing given"),
        (["pause", "warehouse", "--for", "soon", "--why", "x"], "for: 'soon' is no duration"),
        (["pause", "warehouse", "--until", "noon", "--why", "x"], "'noon': no time"),
        (["pause", "warehouse", "--until", "2020-01-01", "--why", "x"], "it would be over already"),
        (["pause", "warehouse", "--for", "99999d", "--why", "x"], "too far off"),
        (["pause", "warehouse", "--for", "1h", "--until", "2100-01-01", "--why", "x"], "not both"),
        (["resume", "warehouse", "--why", "x"], "warehouse: it is not paused"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_done(
    served: Place, arguments: list[str], says: str
) -> None:
    result = await run_command(served, *arguments)

    assert result.exit_code and says in result.output, result.output
    assert all(not each["paused"] for each in (await look(served)).values())


async def test_an_end_is_a_duration_or_a_time_of_the_district(served: Place) -> None:
    timed = await run_command(served, "pause", "warehouse", "--until", "2090-07-01T12:00", "--why", "x")
    found = (await look(served))["warehouse"]["paused"]
    again = await run_command(served, "pause", "warehouse", "--for", "2h", "--why", "shorter")
    later = (await look(served))["warehouse"]["paused"]
    await run_command(served, "resume", "warehouse", "--why", "x")

    assert "warehouse is paused until 2090-07-01 12:00:00" in timed.output, timed.output
    assert again.exit_code == 0 and later["why"] == "shorter"
    assert later["since_ms"] == found["since_ms"]
    assert later["until_ms"] < found["until_ms"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A router for all that is only asked."""
    place = lay_out(tmp_path_factory.mktemp("served"))
    with Router(place) as router:
        asyncio.run(router.start())
        yield place
