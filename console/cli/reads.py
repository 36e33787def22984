"""`yellowbus reads`: what was read from sources, and what became of it."""

import json

import click

from console.client import Where, answer_of, bus_options

from .render import reads_table, zone_of
from .screen import screen


@click.command()
@bus_options
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 200), help="Of each system.")
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
@click.argument("system", required=False, default="")
def reads(where: Where, most: int, output: str, system: str) -> None:
    """List what was read from sources (or from SYSTEM), the newest first, and what became of it."""
    answer = answer_of(where, "reads", {"system": system, "most": most})
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif answer["reads"]:
        screen().print(reads_table(answer["reads"], zone_of(answer)))
    else:
        click.echo("Nothing was read yet.", err=True)
