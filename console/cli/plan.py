"""`yellowbus plan FILE`: what a file would do, by the production path, without doing it."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from console.client import Client, Where, asked_of, bus_options

from .holds import OPS
from .render import counted
from .screen import screen

PLAN_MAX_S: Final = 900.0
COLUMNS: Final = ("operation", "school", "entity", "id", "held", "fields")


@click.command()
@bus_options
@click.option("--system", default="", help="The source whose file it is, if several read files.")
@click.option("--csv", "as_csv", is_flag=True, help="Each record as CSV: what would happen to which fields.")
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
@click.argument("file", type=click.Path(path_type=Path))
def plan(where: Where, file: Path, system: str, as_csv: bool, output: str) -> None:
    """Show what FILE would do if it came now: how much would flow, be held or be refused, and why.

    The router reads the file, so it has to be on the router's machine. Nothing is published or kept.
    Exit code 0: all of it would flow. 1: some would be held. 2: it would be refused.
    """
    request = {"path": str(file.absolute()), "system": system, "rows": as_csv}

    async def ask(router: Client) -> tuple[dict[str, Any], list[Sequence[Any]]]:
        answer = await router.ask("plan", request, within_s=PLAN_MAX_S)
        rows: list[Sequence[Any]] = []
        while as_csv:
            page = await router.ask("plan.rows", {"offset": len(rows)})
            rows += page["rows"]
            if not page["left"]:
                break
        return answer, rows

    answer, rows = asked_of(where, ask)
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(COLUMNS)
        writer.writerows([*row[:5], " ".join(row[5])] for row in rows)
    elif output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        screen().print(_table(answer["cells"]))
    click.echo(_sentence(answer), err=True)
    raise SystemExit(2 if answer["refused"] else 1 if _held(answer) else 0)


def _held(answer: Mapping[str, Any]) -> int:
    return sum(each["held"] for each in answer["cells"])


def _sentence(answer: Mapping[str, Any]) -> str:
    if answer["refused"]:
        why = "\n  ".join(answer["refused"])
        return f"{answer['name']} would be refused whole:\n  {why}"
    total, held = sum(each["records"] for each in answer["cells"]), _held(answer)
    aside = f" {counted(answer['set_aside'], 'row')} would be set aside." if answer["set_aside"] else ""
    kind = "all records" if answer["full"] else "changes only"
    return (
        f"{answer['name']} ({kind}, {counted(answer['rows'], 'row')}):"
        f" {counted(total - held, 'record')} would flow, {held:,} would be held.{aside}"
    )


def _table(cells: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("entity", "school", "what", "records", "held", "why"):
        table.add_column(name, overflow="fold")
    for each in cells:
        why = each["reason"] or ("they need records that are held" if each["held"] else "")
        numbers = (f"{each['records']:,}", f"{each['held']:,}")
        table.add_row(each["entity"], each["school"] or "-", OPS[each["op"]], *numbers, why)
    return table
