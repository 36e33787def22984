"""`yellowbus shares`: who gets which field, of which class, for what purpose, by which agreement."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .screen import screen
from .spreadsheet import csv_text

COLUMNS: Final = ("system", "entity", "field", "class", "sent_as", "purpose", "agreement", "mode")


@click.command()
@bus_options
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json", "csv"]))
@click.argument("system", required=False, default="")
def shares(where: Where, output: str, system: str) -> None:
    """Show which fields SYSTEM (or each) is told, as the running router has it.

    Of an expression all fields that it reads are listed.
    """
    answer = answer_of(where, "shares")
    lines = [line for line in answer["shares"] if system in ("", line["system"])]
    if output == "json":
        click.echo(json.dumps(lines, ensure_ascii=False))
    elif output == "csv":
        click.echo(csv_text(COLUMNS, lines), nl=False)
    elif lines:
        screen().print(_table(lines))
    else:
        click.echo(f"{system or 'Nobody'} is told nothing.", err=True)


def _table(lines: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name.replace("_", " "), overflow="fold")
    for line in lines:
        table.add_row(*(str(line[name]) for name in COLUMNS))
    return table
