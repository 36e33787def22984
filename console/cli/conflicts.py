"""`yellowbus conflicts`: where two systems changed the same fields; see both sides, pick one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .render import when, zone_of
from .screen import screen


@click.group()
def conflicts() -> None:
    """Two systems changed the same fields since they last agreed: what stood, and why."""


@conflicts.command(name="list")
@bus_options
@click.option("--only", default="", type=click.Choice(["", "asked", "settled", "picked"]), help="Only these.")
@click.option("--record", default="", help="Only of this record, as in student/1001.")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 200))
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
def listed(where: Where, only: str, record: str, most: int, output: str) -> None:
    """List conflicts, the newest first; those that are asked wait for a person."""
    answer = answer_of(where, "conflicts.list", {"state": only, "key": record, "most": most})
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif answer["conflicts"]:
        screen().print(_table(answer["conflicts"], answer))
    else:
        click.echo("There are no conflicts.", err=True)


@conflicts.command()
@bus_options
@click.argument("id")
def show(where: Where, id: str) -> None:
    """Show one conflict with both sides' values."""
    answer = answer_of(where, "conflicts.show", {"id": id})
    found, zone = answer["conflict"], zone_of(answer)
    click.echo(
        f"{found['id']}  {found['key']}, rev {found['rev']} now  {found['state']}, rule {found['rule']}"
    )
    for side in found["sides"]:
        stood = "  <- stands" if found["winner"] == side["system"] else ""
        click.echo(f"\n{side['system']}, {when(side['at_ms'], zone)}, event {side['event']}{stood}")
        for name, value in zip(found["fields"], side["values"], strict=True):
            click.echo(f"  {name}: {json.dumps(value, ensure_ascii=False)}")
    if found["state"] == "asked":
        names = " or ".join(side["system"] for side in found["sides"])
        click.echo(f"\nA person decides: yellowbus conflicts resolve {id} --take {names} --why ...")


@conflicts.command()
@bus_options
@click.argument("id")
@click.option("--take", default="", help="The system whose values are right.")
@click.option(
    "--set", "values", multiple=True, metavar="FIELD=VALUE", help="Or values of your own; blank: none."
)
@click.option("--rev", type=int, help="The rev that you have seen, where the record has changed since.")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def resolve(where: Where, id: str, take: str, values: Sequence[str], rev: int | None, why: str) -> None:
    """Pick what is right. All systems are brought up to date with it."""
    request: dict[str, object] = {"id": id, "take": take, "why": why}
    if values:
        request["values"] = _values(values)
    if rev is not None:
        request["looked_at"] = rev
    answer = answer_of(where, "conflicts.resolve", request)
    click.echo(f"{answer['key']}: {', '.join(answer['picked'])} picked (event {answer['event']})")


def _values(given: Sequence[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals:
            raise click.UsageError(f"--set {each}: no value (expected FIELD=VALUE)")
        found[name] = text
    return found


def _table(found: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("id", "when", "record", "fields", "between", "stands", "state"):
        table.add_column(name)
    zone = zone_of(answer)
    for each in found:
        between = " / ".join(side["system"] for side in each["sides"])
        fields = ", ".join(each["fields"])
        stands = f"{each['winner'] or '-'} ({each['rule']})"
        cells = (each["id"], when(each["at_ms"], zone), each["key"], fields, between, stands, each["state"])
        table.add_row(*cells)
    return table
