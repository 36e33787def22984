"""The router as a process of its own: how it starts, stops, dies, and what it makes of that."""

import json
import os
import signal
from pathlib import Path
from random import Random

import pytest
from real_nats import NatsServer
from running import (
    Place,
    Router,
    check_conservation,
    check_destinations,
    drop,
    flowed,
    lay_out,
    refused,
    sampled,
    shared,
    streams,
    through,
    until,
)

from bus.embedded import address_in
from bus.errors import Unavailable
from bus.jetstream import JetStream
from console.client import client

DRAIN_MAX_S = 20.0


async def test_sigterm_drains_and_takes_the_server_along(
    router: Router, place: Place, tmp_path: Path
) -> None:
    package = sampled(tmp_path)
    await router.start()
    drop(place, package)  # the stop comes in the middle of it
    async with JetStream.connect(address_in(place.state / "nats")) as bus:
        while (await bus.info("EVENTS")).last_seq == 0:
            assert router.running

    code, took_s = router.stop()

    assert (code, took_s < DRAIN_MAX_S) == (0, True)
    assert router.logged("stopped")
    with pytest.raises(Unavailable):
        async with JetStream.connect(address_in(place.state / "nats")):
            pass


async def test_the_same_file_again_publishes_nothing_and_the_next_day_only_differences(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    first = await through(place, sampled(tmp_path))
    before = await streams(place)

    again = await through(place, sampled(tmp_path))
    same = await streams(place)
    second = await through(place, sampled(tmp_path, day=2))
    after = await streams(place)

    assert first.events == first.rows == before.events
    assert again.rows == first.rows and again.read is not None and again.read["outcome"] == "unchanged"
    assert (same.events, same.changes, len(same.delivered)) == (
        before.events,
        before.changes,
        len(before.delivered),
    )
    assert 0 < second.events < first.events / 4
    assert after.events - before.events == second.events
    check_conservation(after)
    check_destinations(place, sampled(tmp_path, day=2))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_killed_in_the_middle_of_it_everything_arrives_once(
    router: Router, place: Place, seed: int
) -> None:
    package, chance = shared("medium"), Random(seed)
    await router.start()
    drop(place, package)
    for stream, most in (("EVENTS", 6000), ("CHANGES", 5000), ("AUDIT", 12)):
        point = chance.randrange(1, most)
        async with JetStream.connect(place.address) as bus:
            while (await bus.info(stream)).last_seq < point:
                assert router.running
            router.kill()
        await router.start()

    async with client(place.where) as bus:
        end = await flowed(bus, 0)
    found = await streams(place)

    assert end.failed == 0
    assert found.events == end.rows
    check_conservation(found)
    check_destinations(place, package)


async def test_a_second_router_on_the_folder_is_refused_in_words(router: Router, place: Place) -> None:
    await router.start()

    second = refused(place)

    assert second.returncode == 1
    assert "another yellowbus router is running on this folder" in second.stderr
    assert "Traceback" not in second.stderr
    assert router.running


def test_a_wrong_configuration_stops_the_start_in_words(place: Place) -> None:
    (place.config / "sis.yaml").write_text("system: sis\nsource: {adapter: onerooster_csv}\n")

    found = refused(place)

    assert found.returncode == 1
    assert "sis.yaml:2:" in found.stderr and "Traceback" not in found.stderr


async def test_sighup_takes_a_valid_configuration_and_keeps_the_old_one_before_a_broken_one(
    router: Router, place: Place, tmp_path: Path
) -> None:
    await router.start()
    file = place.config / "assessment.yaml"
    valid = file.read_text()

    file.write_text(valid.replace("adapter: oneroster_csv", "adapter: nothing_like_it"))
    router.signal(signal.SIGHUP)
    await until(lambda: bool(router.logged("configuration refused, the old one stays")))
    file.write_text(valid.replace("Assessment platform", "Tests"))
    router.signal(signal.SIGHUP)
    await until(lambda: len(router.logged("ready")) == 2)
    package = sampled(tmp_path)
    await through(place, package)

    [said] = router.logged("configuration refused, the old one stays")
    assert "assessment.yaml" in said["problems"]
    assert len(router.logged("configuration taken")) == 1
    check_destinations(place, package)
    assert router.stop()[0] == 0


async def test_when_its_own_server_is_killed_it_ends_in_words_and_the_next_start_goes_on(
    router: Router, place: Place, tmp_path: Path
) -> None:
    package = sampled(tmp_path, students=150)
    await router.start()
    drop(place, package)
    async with JetStream.connect(place.address) as bus:
        while (await bus.info("CHANGES")).last_seq < 300:
            assert router.running
    server = json.loads((place.state / "nats" / "connection.json").read_text())["pid"]

    os.kill(server, signal.SIGKILL)
    code = router.ended()
    await router.start()
    async with client(place.where) as asking:
        end = await flowed(asking, 0)
    found = await streams(place)

    assert code == 1
    assert "the embedded nats-server ended (signal 9)" in router.log.read_text()
    assert "Traceback" not in router.log.read_text()
    assert (found.events, end.failed) == (end.rows, 0)
    check_conservation(found)
    check_destinations(place, package)


async def test_a_killed_server_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "nats"
    folder.mkdir()
    package = sampled(tmp_path, students=150)
    with NatsServer(folder, sync="always") as server:
        place = lay_out(tmp_path, nats_url=server.address.url)
        with Router(place) as router:
            await router.start()
            drop(place, package)
            for stream, point in (("EVENTS", 400), ("CHANGES", 900)):
                async with JetStream.connect(server.address) as bus:
                    while (await bus.info(stream)).last_seq < point:
                        assert router.running
                server.kill()
                server.start()

            async with client(place.where) as asking:
                end = await flowed(asking, 0)
            found = await streams(place)

            assert found.events == end.rows and end.failed == 0
            assert router.running
            check_conservation(found)
            check_destinations(place, package)
            assert router.stop()[0] == 0
