"""`yellowbus check`: everything that is wrong with the configuration. `yellowbus schema`: its JSON Schema."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import click

import adapters
from bus.adapter import Destination, EntityShape, Listener, Source, Surroundings
from bus.connection import Address, connect
from bus.errors import ConfigError, YellowbusError
from router.config import check_folder, config_option, state_option
from router.config.positions import Problem, read
from router.config.schema import schema as json_schema
from router.core.rules import District
from router.core.shapes import destination_shape, source_shape

ANSWER_MAX_S: Final = 20.0

Make = Callable[[Surroundings], Source | Listener | Destination]


class Door(NamedTuple):
    """One thing to knock at: what a person calls it, and how to make what knocks."""

    system: str
    side: str
    make: Make
    entities: tuple[EntityShape, ...]
    concurrent: int = 1


@click.command()
@config_option
@state_option
@click.option("--connect", is_flag=True, help="Also try every system's address and credentials.")
def check(config: Path, state: Path, *, connect: bool) -> None:
    """Say everything that is wrong with the configuration, as file:line:column, at once.

    Exit code 1 if anything is.
    """
    district, problems = check_folder(config, state)
    for problem in problems:
        click.echo(str(problem))
    if district is None:
        files = len({problem.file for problem in problems})
        click.echo(f"mistakes: {len(problems)}, files: {files}. Nothing starts on this.", err=True)
        raise SystemExit(1)
    wrong = asyncio.run(_unmakable(district))
    for problem in wrong:
        click.echo(str(problem))
    if wrong:
        raise SystemExit(1)
    click.echo(
        f"{config}: {len(district.entities)} entities, {len(district.systems)} systems, no mistakes.",
        err=True,
    )
    if connect and not asyncio.run(_all_answer(district)):
        raise SystemExit(1)


@click.command()
def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of the configuration files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


async def _unmakable(district: District) -> list[Problem]:
    """What only the adapters themselves can say of their mapping: making one touches nothing outside."""
    problems = []
    with TemporaryDirectory(prefix="yellowbus-check-") as folder:
        async with AsyncExitStack() as made:  # all at once: two may be in each other's way
            for door in doors(district):
                try:
                    made.push_async_callback(_make(door, Path(folder)).close)
                except ConfigError as error:
                    file = district.systems[door.system].file
                    document = read(Path(file).read_bytes(), file)
                    problems.append(document.problem((door.side,), error.message, key=True))
    return problems


# -- --connect


async def _all_answer(district: District) -> bool:
    """Knock everywhere at once, and say who answers."""
    with TemporaryDirectory(prefix="yellowbus-check-") as folder:
        async with asyncio.TaskGroup() as group:
            knocks = [group.create_task(_knock(door, Path(folder))) for door in doors(district)]
            if district.nats_url:
                knocks.append(group.create_task(_knock_at_bus(district)))
    return all(knock.result() for knock in knocks)


def doors(district: District) -> list[Door]:
    """Every source and destination of a district."""
    found: list[Door] = []
    for system in district.systems.values():
        if source := system.source:
            shapes = tuple(
                source_shape(rule, district.entities[name]) for name, rule in source.entities.items()
            )
            make: Make = partial(adapters.make_source, source.adapter, source.settings)
            found.append(Door(system.name, "source", make, shapes))
        if destination := system.destination:
            shapes = tuple(
                destination_shape(rule, district.entities[name])
                for name, rule in destination.entities.items()
            )
            make = partial(adapters.make_destination, destination.adapter, destination.settings)
            found.append(Door(system.name, "destination", make, shapes, destination.concurrent))
    return found


def _make(door: Door, folder: Path) -> Source | Listener | Destination:
    state = folder / door.system / door.side
    state.mkdir(parents=True)
    return door.make(
        Surroundings(
            system=door.system,
            state=state,
            now_ms=lambda: time.time_ns() // 1_000_000,
            sleep=asyncio.sleep,
            entities=door.entities,
            concurrent=door.concurrent,
        )
    )


async def _knock(door: Door, folder: Path) -> bool:
    async with _answer(f"{door.system} ({door.side})") as answer:
        adapter = _make(door, folder)
        try:
            await adapter.check()
        finally:
            await adapter.close()
    return answer.well


async def _knock_at_bus(district: District) -> bool:
    async with _answer("nats") as answer:
        address = Address(url=district.nats_url, credentials=district.nats_credentials)
        async with connect(address) as connection:
            await connection.api("INFO")
    return answer.well


class _Answer:
    well = False


@asynccontextmanager
async def _answer(name: str) -> AsyncIterator[_Answer]:
    """Say how it went: "name: answers", or why not."""
    answer = _Answer()
    try:
        async with asyncio.timeout(ANSWER_MAX_S):
            yield answer
    except YellowbusError as error:
        click.echo(f"{name}: {error}")
    except TimeoutError:
        click.echo(f"{name}: no answer within {ANSWER_MAX_S:.0f} s. Look at its address and the way there")
    else:
        answer.well = True
        click.echo(f"{name}: answers")
