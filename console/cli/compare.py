"""`yellowbus compare SYSTEM`: read back what a destination has, say what differs; repair it, if wanted."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import click

from console.client import Client, Where, asked_of, bus_options

from .replay import output_option, print_job

WITHIN_S: Final = 3_600.0
LOOK_S: Final = 0.2


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
