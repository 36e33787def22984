"""`yellowbus router`: the daemon. `yellowbus up`: the same with its own bus and a picture of what it does."""

import asyncio
import logging
import os
import traceback
from collections.abc import Coroutine, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click
import uvloop

from bus.errors import YellowbusError
from bus.jetstream import JetStream
from bus.services import ask
from router.config import config_option, load, state_option
from router.core.rules import District
from router.daemon import Signals, serve_forever
from router.log import set_up
from router.privacy import FILE, FOLDER

log = logging.getLogger("yellowbus")

LOOK_EVERY_S: Final = 0.5
OPERATOR: Final = "up"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
SQLITE: Final = "sqlite:///"


@click.command()
@config_option
@state_option
@click.option("--log-level", default="INFO", show_default=True, type=click.Choice(LEVELS, False))
def router(config: Path, state: Path, log_level: str) -> None:
    """Run the router daemon until SIGTERM: what has begun is brought to its end, within 20 s, and the rest
    waits on disk. SIGHUP reads the configuration again.

    The log is on standard error, one JSON object a line. Exit code 1: a person has to mend something first.
    """
    set_up(log_level.upper())
    run(_serve(config, state))


@click.command()
@config_option
@state_option
def up(config: Path, state: Path) -> None:
    """Run everything for one district on this machine: bus, router, and a status that follows them.

    Makes the folders that the configuration has inside the state folder. Ctrl-C ends it: what has begun is
    brought to its end. The log goes to router.log in the state folder.
    """
    state.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    make_folders(load(config, state), state)
    (state / "router.log").touch(FILE)
    with (state / "router.log").open("a") as stream:
        set_up("INFO", stream)
        run(_up(config, state))


def make_folders(district: District, state: Path) -> None:
    """Make the folders inside the state folder that settings name; others are for people to mount."""
    inside = state.absolute()
    for system in district.systems.values():
        for side in (system.source, system.destination):
            for name, value in (side.settings if side else {}).items():
                text = str(value)
                path = Path(text.removeprefix(SQLITE))
                folder = path.parent if text.startswith(SQLITE) else path
                if (name == "folder" or text.startswith(SQLITE)) and folder.is_relative_to(inside):
                    folder.mkdir(parents=True, exist_ok=True)


async def _serve(config: Path, state: Path) -> None:
    signals = Signals()
    signals.listen()
    await serve_forever(config, state, signals)


async def _up(config: Path, state: Path) -> None:
    # By name, as adapters are: the console knows the router's answers, the router nothing of the console.
    view = import_module("console.cli.live").View(log=state / "router.log")
    signals = Signals()
    signals.listen()
    buses: list[JetStream] = []

    async def show() -> None:
        while not signals.stop.is_set():
            if buses:
                try:
                    view.show(await ask(buses[0].connection, OPERATOR, "status", timeout_s=2.0))
                except YellowbusError as error:
                    if not signals.stop.is_set():
                        view.tell(str(error))
            await asyncio.sleep(LOOK_EVERY_S)
        view.tell("Stopping: what has begun is brought to its end ...")

    with view:
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(show())
            try:
                await serve_forever(
                    config, state, signals, ready=lambda bus, pipeline: buses.__setitem__(slice(None), [bus])
                )
            finally:
                showing.cancel()


# -- how it ends


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it. Raises YellowbusError for what a person has to mend, however deep in groups it is; a bug ends
    the process with its place in the log, and without its text, which may hold values.
    """
    try:
        # libuv's io_uring keeps a kernel thread polling: half of a machine with two cores.
        os.environ.setdefault("UV_USE_IO_URING", "0")
        uvloop.run(work)  # the same work in three quarters of the time that asyncio's own loop takes for it
    except (Exception, BaseExceptionGroup) as error:
        causes = list(_causes(error))
        bugs = [cause for cause in causes if _mendable(cause) is None]
        if not bugs:
            said = _mendable(causes[0])
            assert said is not None
            raise said from None
        for bug in bugs:
            frames = traceback.extract_tb(bug.__traceback__)
            places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
            log.critical("bug", extra={"error": type(bug).__name__, "frames": places})
        what = f"a bug stopped the router: {type(bugs[0]).__name__}. The log has the place; please report it"
        raise YellowbusError(what, runbook="router-down") from None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an exception is made of: the leaves of its groups, without those that only were told to stop."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    elif not isinstance(error, asyncio.CancelledError):
        yield error


def _mendable(error: BaseException) -> YellowbusError | None:
    if isinstance(error, YellowbusError):
        return error
    if isinstance(error, OSError) and error.filename:
        return YellowbusError(f"{error.filename}: {error.strerror}. Make it readable and writable for us")
    return None
