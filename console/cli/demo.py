"""`yellowbus demo`: an invented district, its export brought to four systems while you look on."""

import asyncio
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import click
from rich.live import Live

from bus.errors import Unavailable, YellowbusError
from console.client import Client, Where, client

from . import flow, processes
from .flow import Flow
from .ground import SOURCE, Ground, export_name, held, prepare
from .processes import Child, Children
from .screen import screen

READY_MAX_S: Final = 60.0
STUCK_MAX_S: Final = 60.0
LOOK_EVERY_S: Final = 0.25
LINE_EVERY_S: Final = 2.0
INTERRUPTED: Final = 130


@click.command()
@click.option(
    "--folder", default=Path("demo"), show_default=True, type=click.Path(path_type=Path, file_okay=False)
)
@click.option("--students", default=None, type=click.IntRange(50, 100_000), help="[default: 300]")
@click.option("--day", default=None, type=click.IntRange(1, 300), help="[default: the last one, else 1]")
@click.option("--reset", is_flag=True, help="Start over: forget what earlier runs did in the folder.")
def demo(folder: Path, students: int | None, day: int | None, reset: bool) -> None:
    """Bring an invented district's export to four systems, and show how it flows.

    They are an identity provider (a local SCIM server), an LMS (a stand-in of ours), a warehouse and an
    assessment platform.

    Run it again: nothing is delivered twice. With --day 2 only the differences flow.
    """
    ground = Ground(folder)
    with held(ground):
        try:
            day = prepare(ground, students, day, reset=reset)
            with Children() as children:
                end = asyncio.run(_flow(ground, day, children))
                click.echo("Stopping ...", err=True)
        except (KeyboardInterrupt, asyncio.CancelledError):
            click.echo("Stopped. What has flowed so far is kept; the next run goes on from there.", err=True)
            raise SystemExit(INTERRUPTED) from None
    _tell(ground, end, day)
    if end.failed:
        raise SystemExit(1)


# -- while it flows


async def _flow(ground: Ground, day: int, children: Children) -> Flow:
    """Start everything, put the export into the folder, follow it to the end."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    click.echo("Starting the identity provider, the LMS, the bus and the router ...", err=True)
    begun_ms = time.time() * 1000
    for_scim, for_lms, for_webhooks = (_free_port() for _ in range(3))
    scim = children.start(
        "identity provider",
        ("console.cli.accounts", "--port", f"{for_scim}", str(ground.accounts)),
        ground.folder / "scim.log",
    )
    to_us = f"http://127.0.0.1:{for_webhooks}/lms"
    lms = children.start(
        "LMS",
        ("console.cli", "standin-lms", "--port", f"{for_lms}", "--webhook", to_us, str(ground.lms)),
        ground.folder / "lms.log",
    )
    await _answers(for_scim, scim)
    await _answers(for_lms, lms)
    router = children.start(
        "router",
        ("console.cli", "router", "--config", str(ground.config), "--state", str(ground.state)),
        ground.folder / "router.log",
        SCIM_URL=f"http://127.0.0.1:{for_scim}",
        LMS_URL=f"http://127.0.0.1:{for_lms}/api",
        LMS_WEBHOOK_PORT=f"{for_webhooks}",
    )
    async with _router(ground, router) as bus:
        before = await _settled(bus, router, begun_ms)
        _drop(ground, day)
        return await _follow(bus, (scim, lms, router), before)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def _answers(port: int, child: Child) -> None:
    """Wait until somebody listens. Raises YellowbusError."""
    async with _deadline(child):
        while True:
            child.check()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@asynccontextmanager
async def _router(ground: Ground, child: Child) -> AsyncIterator[Client]:
    """A connection, once the router answers. Raises YellowbusError."""
    where = Where(state=ground.state)
    async with _deadline(child):
        while True:
            child.check()
            try:
                async with client(where) as bus:
                    await bus.ask("status")
                    break
            except Unavailable:
                await asyncio.sleep(0.1)
    async with client(where) as bus:
        yield bus


@asynccontextmanager
async def _deadline(child: Child) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(READY_MAX_S):
            yield
    except TimeoutError:
        raise YellowbusError(
            f"{child.name}: no answer within {READY_MAX_S:.0f} s. Its log: {child.log}"
        ) from None


async def _settled(bus: Client, child: Child, begun_ms: float) -> Flow:
    """Wait until the other sources have been looked at, and nothing is left of an earlier run."""
    async with _deadline(child):
        while True:
            child.check()
            found = await flow.look(bus, SOURCE, 0, 0)
            if found.quiet and flow.looked(found, SOURCE, begun_ms):
                return found
            await asyncio.sleep(LOOK_EVERY_S)


def _drop(ground: Ground, day: int) -> None:
    """Put the day's export into the source's folder, as a careful system does: whole, then its marker."""
    name = export_name(day)
    folder = ground.state / SOURCE
    part = folder / f"{name}.part"
    shutil.copyfile(ground.exports / name, part)
    # The marker says that the file is whole, so nobody waits for it to settle.
    (folder / f"{name}.ready").touch()
    part.rename(folder / name)
    click.echo(f"{folder / name}: put there. Its source looks there every 5 s.", err=True)


async def _follow(bus: Client, children: tuple[Child, ...], before: Flow) -> Flow:
    """Show how it flows until all of it has arrived. Raises YellowbusError if it does not."""
    after_read, changes = before.read["number"] if before.read else 0, before.status["changes"]
    outcomes = {name: each["outcomes"] for name, each in before.destinations.items()}
    moved_s = time.monotonic()
    seen, next_line_s = "", 0.0
    console = screen(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            for child in children:
                child.check()
            now_s = time.monotonic()
            found = await flow.look(bus, SOURCE, after_read, changes, outcomes)
            _check_read(found)
            if found.done:
                return found
            if console.is_terminal:
                live.update(flow.table(found, flow.line(found)), refresh=True)
            moving = f"{found.rows} {found.changes} {found.status['destinations']}"
            if moving != seen:
                moved_s = now_s
                if not console.is_terminal and now_s >= next_line_s:
                    click.echo(flow.line(found), err=True)
                    next_line_s = now_s + LINE_EVERY_S
            seen = moving
            if now_s - moved_s > STUCK_MAX_S:
                why = found.unreachable or flow.line(found)
                raise YellowbusError(
                    f"nothing moved for {STUCK_MAX_S:.0f} s: {why}. The log: {children[-1].log}"
                )
            await asyncio.sleep(LOOK_EVERY_S)


def _check_read(found: Flow) -> None:
    if found.read and found.read["outcome"] == "refused":
        why = "; ".join(found.read["remarks"][:3])
        raise YellowbusError(
            f"{found.read['name']} was refused: {why}. Start over: make demo RESET=1", runbook="refused-file"
        )


# -- after


def _tell(ground: Ground, end: Flow, day: int) -> None:
    """What has become of it, and where to look."""
    read = end.read or {}
    headline = (
        f"Day {day}: {end.rows:,} rows read, {end.events:,} events, {end.changes:,} changes,"
        f" {end.delivered:,} deliveries in {end.took_s:.1f} s"
    )
    click.echo(f"{headline}\n")
    screen().print(flow.table(end))
    if not end.events:
        click.echo(f"\n{read.get('name')} has nothing new: no event, and nothing was delivered twice.")
    elif end.failed:
        click.echo(f"\n{end.failed:,} deliveries failed. See why: yellowbus failed list")
    address = Where(state=ground.state).address()
    _write_private(
        ground.nats,
        f"export NATS_URL={address.url} NATS_USER={address.user} NATS_PASSWORD='{address.password}'\n",
    )
    program = processes.program()
    zips = sorted((ground.state / "assessment").glob("*.zip"))
    click.echo(
        f"""
Where to look
  warehouse    sqlite3 {ground.state / "warehouse.db"} 'select count(*) from students'
  assessment   {zips[-1] if zips else ground.state / "assessment"}
  accounts     {ground.accounts} (what the SCIM server holds)
  LMS          sqlite3 {ground.lms} 'select * from enrollments limit 3'
  configuration {ground.config}

The bus runs while the router does. Start both again, and the LMS, each in a terminal of its own:
  {program} up --config {ground.config} --state {ground.state}
  {program} standin-lms {ground.lms}
Withdraw a student there, as a teacher, and look into it:
  curl -s http://127.0.0.1:8890/teach/enrollments | head -3
  curl -d status=withdrawn http://127.0.0.1:8890/teach/enrollments/ID
  {program} explain enrollment/ID --state {ground.state}
  cat {ground.state / f"{SOURCE}-import"}/*      # what the SIS is to import of it
  {program} status --state {ground.state}
  . {ground.nats}      # NATS_URL, NATS_USER and NATS_PASSWORD for the nats tool
  nats stream ls
  nats stream view AUDIT --translate "{program} decode"
  nats consumer info CHANGES warehouse

Next: make demo (again: nothing flows), make demo DAY={day + 1} (only the differences), make demo RESET=1"""
    )


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
