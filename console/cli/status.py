"""`yellowbus status`: what is delivered, waits and fails, the worst first."""

import json

import click

from bus.errors import Unavailable
from console.client import Where, answer_of, bus_options

from .render import Grade, status_view, worst
from .screen import screen


@click.command()
@bus_options
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
def status(where: Where, output: str) -> None:
    """Show what is delivered, waiting and failed, the worst first.

    Deliveries count since the router's start; what waits or failed is what there is now. Exit code 0: all is
    up to date. 1: something waits or fails. 2: the router or the bus does not answer.
    """
    try:
        answer = answer_of(where, "status")
    except Unavailable as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(2) from None
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        screen().print(status_view(answer))
    raise SystemExit(0 if worst(answer) is Grade.OK else 1)
