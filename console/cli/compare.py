"""`yellowbus compare SYSTEM`: read back what a destination has, say what differs; repair it, if wanted."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.table import Table

from console.client import Client, Where, asked_of, bus_options

from .replay import output_option, print_job
from .screen import screen

WITHIN_S: Final = 3_600.0
LOOK_S: Final = 0.2
WHAT: Final = ("same", "different", "missing", "too much", "unknown here")
KEYS_SHOWN: Final = 10


@click.command()
@bus_options
@click.option("--entity", "entities", multiple=True, help="Only records of this entity. May be repeated.")
@click.option("--repair", is_flag=True, help="Put right what differs. Needs --why.")
@click.option("--why", default="", help="Why: it stands in the audit.")
@output_option
@click.argument("system")
def compare(
    where: Where, entities: tuple[str, ...], repair: bool, why: str, output: str, system: str
) -> None:
    """Read back all that SYSTEM has, and compare it with what it is to have. Names fields, never values.

    With --repair what is missing or different is put once more, and what is ours and too much is removed;
    what nobody knows here is left alone. Beyond the limits of guards it waits: `yellowbus replay show`.
    """
    if repair and not why:
        raise click.UsageError("--repair needs --why: it stands in the audit")
    request = {"system": system, "entities": list(entities), "force": repair, "why": why or "to see"}
    answer = asked_of(where, lambda asking: _compared(asking, request))
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    print_job(answer)
    _print(answer["report"])


async def _compared(asking: Client, request: Mapping[str, object]) -> dict[str, Any]:
    """Start it, and wait until it has ended, or waits for a person."""
    id_ = (await asking.ask("compare.start", request))["job"]["id"]
    click.echo(f"{id_} has begun. It goes on without you, too: yellowbus replay show {id_}", err=True)
    async with asyncio.timeout(WITHIN_S):
        while True:
            answer = await asking.ask("replay.show", {"id": id_})
            if answer["job"]["state"] != "running" or answer["hindered"]:
                return answer
            await asyncio.sleep(LOOK_S)


def _print(report: Mapping[str, Any]) -> None:
    if not report:
        return
    counts: dict[str, dict[str, int]] = {}
    for entity, what, count in report["compared"]:
        counts.setdefault(entity, {})[what] = count
    table = Table(box=None, pad_edge=False)
    for name in ("", *WHAT):
        table.add_column(name, justify="right" if name else "left")
    for entity, found in counts.items():
        table.add_row(entity, *(f"{found.get(what, 0):,}" for what in WHAT))
    screen().print(table)
    for entity, fields in report["fields"].items():
        for name, count in fields.items():
            click.echo(f"{entity}.{name} differs in {count:,}")
    for what, keys in report["keys"].items():
        more = f" and {len(keys) - KEYS_SHOWN:,} more (--output json)" if len(keys) > KEYS_SHOWN else ""
        click.echo(f"{what}: {', '.join(keys[:KEYS_SHOWN])}{more}")
