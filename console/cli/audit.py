"""`yellowbus audit`: what stands on AUDIT, counted and read."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .render import when, zone_of
from .screen import screen
from .spreadsheet import csv_text

UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
EVENTS: Final = ("repeats", "echoes", "second_paths", "duplicates", "others")
DELIVERIES: Final = ("unchanged", "superseded")
READING_MAX_S: Final = 600.0


class Duration(click.ParamType[int]):
    """How long ago, as in `24h` or `7d`, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", str(value))
        if found is None:
            self.fail(f"{value}: no duration (expected a number with s, m, h or d, as in 24h)", param, ctx)
        return int(found[1]) * UNITS_S[found[2]]


@click.group()
def audit() -> None:
    """What happened to each record, from AUDIT."""


@audit.command()
@bus_options
@click.option("--since", default="24h", show_default=True, type=Duration(), help="How far back, as in 7d.")
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json", "csv"]))
def duplicates(where: Where, since: int, output: str) -> None:
    """Count what nobody had to do twice.

    Of events: what a system repeats, echoes (it was told so), what a second path brings, what was said again
    under the same id. Of deliveries: what a system had already, and what a newer one took the place of.
    """
    answer = answer_of(where, "audit.duplicates", {"since_s": since}, within_s=READING_MAX_S)
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    lines = [{"side": side, **line} for side in ("events", "deliveries") for line in answer[side]]
    if output == "csv":
        click.echo(csv_text(("side", "system", "entity", *EVENTS, *DELIVERIES), lines), nl=False)
    elif lines:
        screen().print(_table("events from", EVENTS, answer["events"]))
        screen().print(_table("deliveries to", DELIVERIES, answer["deliveries"]))
    else:
        click.echo("Nothing was there twice.", err=True)
    click.echo(f"\n{_complete(answer)}" if output == "table" else _complete(answer), err=True)


def _table(what: str, kinds: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(what, no_wrap=True)
    table.add_column("entity", no_wrap=True)
    for kind in kinds:
        table.add_column(kind.replace("_", " "), justify="right", no_wrap=True)
    for line in lines:
        counts = [f"{line.get(kind, 0):,}" for kind in kinds]
        table.add_row(line["system"], line["entity"], *counts)
    return table


def _complete(answer: Mapping[str, Any]) -> str:
    """Whether AUDIT has all of the time that was asked for."""
    zone = zone_of(answer)
    since = when(answer["since_ms"], zone)
    if answer["complete"]:
        return f"since {since}; complete: yes"
    return f"since {since}; complete: no (kept since {when(answer['kept_since_ms'], zone)})"
