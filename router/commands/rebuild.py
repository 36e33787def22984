"""`yellowbus rebuild`: make the router's index again from the streams, and say what it has and has not."""

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import click

from bus.jetstream import JetStream
from bus.subjects import AUDIT, EVENTS
from bus.topology import STREAMS
from router.config import config_option, load, state_option
from router.core.rules import District
from router.daemon import epoch_of, now_ms, server_of
from router.database import Sqlite
from router.lock import folder_lock
from router.rebuild import Rebuild, Rebuilt
from router.store import QUERIES

from .daemon import run

INDEX: Final = "index.sqlite"
BEFORE: Final = "index.sqlite.before-rebuild"
_BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database."""


@click.command()
@config_option
@state_option
def rebuild(config: Path, state: Path) -> None:
    """Make the router's index again from the streams. The router has to be stopped.

    The old index stays as index.sqlite.before-rebuild. Nothing is published. What a destination holds is not
    sent again, as far back as AUDIT is kept.
    """
    district = load(config, state)
    run(_rebuild(district, state))


async def _rebuild(district: District, state: Path) -> None:
    with folder_lock(state):
        async with server_of(district, state) as address, JetStream.connect(address) as bus:
            click.echo("Reading the streams ...", err=True)
            made = await make_index(bus, district, state)
    _tell(made, state)


async def make_index(bus: JetStream, district: District, state: Path) -> Rebuilt:
    """Make a new index beside the old one, and put it in its place. Raises YellowbusError."""
    new = state / f"{INDEX}.new"
    _remove(new)
    async with Sqlite.open(new, QUERIES["schema"]) as database:
        made = await Rebuild(bus, database, district, await epoch_of(bus), now_ms()).run()
    put_in_place(new, state / INDEX, state / BEFORE)
    return made


def put_in_place(new: Path, index: Path, before: Path) -> None:
    """Swap the index in one step, so that a crash leaves the one or the other; the old one is kept."""
    if index.exists():
        # Into the file what stands beside it: the new index must not find the old one's log.
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(index)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _remove(before)
        shutil.copy2(index, before)
    for suffix in _BESIDE:
        index.with_name(index.name + suffix).unlink(missing_ok=True)
    new.replace(index)
    folder = os.open(index.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    for suffix in ("", *_BESIDE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def kept_days(stream: str) -> int:
    return next(each.days_max for each in STREAMS if each.name == stream)


def _tell(made: Rebuilt, state: Path) -> None:
    click.echo(
        f"{state / INDEX}: made again from the streams.\n"
        f"  {made.records:,} records up to change {made.changes:,}, {made.links:,} links\n"
        f"  {made.events:,} events are settled; later ones are decided by the next start\n"
        f"  {made.ledger:,} ledger entries: what destinations hold\n"
        f"  {made.work:,} deliveries are to do; what turns out equal is not sent\n"
        f"  {made.seen:,} records with what systems said since, without a change"
    )
    if made.foreign:
        click.echo(f"  {made.foreign:,} messages are none of ours, and were passed over")
    click.echo(
        "Not on the streams, so not restored: how often deliveries were tried and when they are due (all are"
        " due now),\nrates, starts in which an event raised, what was said longer ago than EVENTS keeps"
        f" ({kept_days(EVENTS)} days),\nwhat was delivered longer ago than AUDIT keeps"
        f" ({kept_days(AUDIT)} days): that is sent again."
        f"\nThe old index is {state / BEFORE}. Start the router: yellowbus router"
    )
