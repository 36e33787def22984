"""One router per state folder, one per district."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulation.by_hand import empty_town
from simulation.life import Life
from simulation.streams import Wire
from simulation.world import Town

from bus.errors import YellowbusError
from router.lock import LEASE_MS, RENEW_S, Lease, folder_lock, holder_of, lease_held


@pytest.fixture
def town() -> Iterator[Town]:
    with empty_town() as town:
        yield town


def lease_of(town: Town, holder: str) -> Lease:
    life = Life(1, town.loop, town.trace, lambda name: False)
    wire = Wire(town.server, life, town.weather, down=town.outage)
    return Lease(wire, holder, "token", town.loop.now_ms, asyncio.sleep)


def test_a_second_router_on_a_folder_is_told_so(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "state"):
        with pytest.raises(YellowbusError) as refused, folder_lock(tmp_path / "state"):
            pass
        assert refused.value.runbook == "two-routers"


def test_a_folder_is_free_again_when_its_router_has_ended(tmp_path: Path) -> None:
    with folder_lock(tmp_path), contextlib.suppress(ZeroDivisionError):
        raise ZeroDivisionError
    with folder_lock(tmp_path):
        pass


def test_a_lease_is_refused_while_another_holds_it(town: Town) -> None:
    town.loop.run(lease_of(town, "a").take())

    with pytest.raises(YellowbusError) as refused:
        town.loop.run(lease_of(town, "b").take())
    assert refused.value.runbook == "two-routers"


def test_the_same_path_on_another_machine_is_another_router(town: Town, tmp_path: Path) -> None:
    town.loop.run(lease_of(town, holder_of(tmp_path, "one")).take())

    with pytest.raises(YellowbusError):
        town.loop.run(lease_of(town, holder_of(tmp_path, "two")).take())
    town.loop.run(lease_of(town, holder_of(tmp_path, "one")).take())


def test_a_lease_that_has_run_out_goes_to_the_next(town: Town) -> None:
    town.loop.run(lease_of(town, "a").take())
    town.loop.pass_time(LEASE_MS / 1000 + 1)

    town.loop.run(lease_of(town, "b").take())
    with pytest.raises(YellowbusError):
        town.loop.run(lease_of(town, "a").take())


def test_after_a_crash_the_same_folder_has_its_lease_at_once(town: Town) -> None:
    town.loop.run(lease_of(town, "a").take())
    town.loop.run(lease_of(town, "a").take())


def test_a_lease_that_is_given_up_is_free_at_once(town: Town) -> None:
    async def hold() -> None:
        async with lease_held(lease_of(town, "a")):
            pass

    town.loop.run(hold())
    town.loop.run(lease_of(town, "b").take())


def test_a_lease_is_kept_for_as_long_as_it_is_held(town: Town) -> None:
    async def hold() -> None:
        async with lease_held(lease_of(town, "a")):
            await asyncio.sleep(10 * LEASE_MS / 1000)
            with pytest.raises(YellowbusError):
                await lease_of(town, "b").take()

    town.loop.run(hold())


@pytest.mark.parametrize("fault", ["bus.refused", "bus.lost", "bus.late"])
def test_a_renewal_that_the_bus_loses_does_not_end_the_lease(town: Town, fault: str) -> None:
    async def hold() -> None:
        async with lease_held(lease_of(town, "a")):
            town.weather.rates[fault] = 0.5
            await asyncio.sleep(100 * RENEW_S)
            town.weather.rates[fault] = 0.0

    town.loop.run(hold())


def test_who_was_away_too_long_stops_when_another_has_taken_over(town: Town) -> None:
    async def held_and_lost() -> None:
        async with lease_held(lease_of(town, "a")):
            town.weather.rates["bus.refused"] = 1.0
            await asyncio.sleep(LEASE_MS / 1000 + 5)
            town.weather.rates["bus.refused"] = 0.0
            await lease_of(town, "b").take()
            await asyncio.sleep(3 * RENEW_S)

    with pytest.raises(ExceptionGroup) as stopped:
        town.loop.run(held_and_lost())
    assert [type(error) for error in stopped.value.exceptions] == [YellowbusError]
