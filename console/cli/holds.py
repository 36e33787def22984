"""`yellowbus holds`: what guards have stopped; see it, approve it in whole or in part, or discard it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .render import counted, when, zone_of
from .screen import screen

C = TypeVar("C", bound=Callable[..., Any])

OPS = {"create": "creates", "update": "updates", "delete": "removals", "link": "other ids"}


def part_options(command: C) -> C:
    """`--school`, `--entity`, `--op`: which part is meant; all of it without them."""
    for option in (
        click.option("--op", default="", type=click.Choice(["", *OPS]), help="Only what would do this."),
        click.option("--entity", default="", help="Only records of this entity."),
        click.option(
            "--school", default="", help="Only records at this school (its id, as listed; - : at none)."
        ),
    ):
        command = option(command)
    return command


@click.group()
def holds() -> None:
    """Plans that change more than their limits: they wait until somebody approves or discards them."""


@holds.command(name="list")
@bus_options
@click.option("--all", "every", is_flag=True, help="Also what was decided, superseded or has expired.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 200))
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
def listed(where: Where, every: bool, most: int, output: str) -> None:
    """List what is held: of sources' plans, and at destinations."""
    answer = answer_of(where, "holds.list", {"all": every, "most": most})
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if answer["holds"]:
        screen().print(_table(answer["holds"], answer))
    if answer["destinations"]:
        screen().print(_destinations(answer["destinations"], answer))
        click.echo("What a destination holds goes by itself: as many an hour as its limits: allow.", err=True)
    if not answer["holds"] and not answer["destinations"]:
        click.echo("Nothing is held.", err=True)


@holds.command()
@bus_options
@click.argument("id")
@click.option("--names", is_flag=True, help="Also the ids of the records, as the source has them.")
@part_options
@click.option("--most", default=200, show_default=True, type=click.IntRange(1, 2000), help="Ids at once.")
@click.option("--offset", default=0, type=click.IntRange(0), help="How many ids to leave out first.")
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
def show(where: Where, id: str, output: str, **part: Any) -> None:
    """Show one hold: how many records of which school would go where, against which limit."""
    answer = answer_of(where, "holds.show", {"id": id, **part})
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    hold, zone = answer["hold"], zone_of(answer)
    click.echo(
        f"{hold['id']}  {hold['state']}  {hold['name']} (read {hold['read']}), since"
        f" {when(hold['since_ms'], zone)}, until {when(hold['expires_ms'], zone)}, hash {hold['hash']}\n"
    )
    screen().print(_cells(hold))
    for act in hold["acts"]:
        by = f" by {act['who']}: {act['why']}" if act["who"] else ""
        click.echo(f"{when(act['at_ms'], zone)}  {act['what']}, {counted(act['records'], 'record')}{by}")
    for each in answer["names"]:
        click.echo(f"{OPS[each['op']]}  {each['school'] or '-'}  {each['entity']}/{each['local_id']}")
    if hold["state"] == "open":
        click.echo(
            f"\nIs it meant? yellowbus holds approve {id} --why ... (or a part: --school, --entity, --op)."
            f"\nIs it not?   yellowbus holds discard {id} --why ..., and have the source export again.",
            err=True,
        )


@holds.command()
@bus_options
@click.argument("id")
@part_options
@click.option("--hash", "hash_", default="", help="The plan's hash: many removals go only with it.")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def approve(where: Where, id: str, hash_: str, **part: Any) -> None:
    """Let a hold go, or the part that is meant. For this plan only: the limits stay as they are."""
    answer = answer_of(where, "holds.approve", {"id": id, "hash": hash_, **part})
    click.echo(f"{id}: {counted(answer['records'], 'record')} approved and on the way. {_rest(answer)}")


@holds.command()
@bus_options
@click.argument("id")
@part_options
@click.option("--why", required=True, help="Why: it stands in the audit.")
def discard(where: Where, id: str, **part: Any) -> None:
    """Drop a hold, or the part that is meant, and what needs it. If it is said again, it is held again."""
    answer = answer_of(where, "holds.discard", {"id": id, **part})
    click.echo(f"{id}: {counted(answer['records'], 'record')} discarded. {_rest(answer)}")


def _rest(answer: Mapping[str, Any]) -> str:
    hold = answer["hold"]
    left = sum(hold["counts"].values()) + hold["depends"]
    return (
        f"{counted(left, 'record')} of it {'waits' if left == 1 else 'wait'} still."
        if left
        else "That was all."
    )


def _table(found: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> Table:
    table = _columns("hold", "since", "until", "read", *OPS.values(), "need these", "why", "state")
    zone = zone_of(answer)
    for each in found:
        numbers = [f"{each['counts'].get(name, 0):,}" for name in OPS.values()]
        table.add_row(
            each["id"],
            when(each["since_ms"], zone),
            when(each["expires_ms"], zone),
            each["name"],
            *numbers,
            f"{each['depends']:,}",
            ", ".join(each["reasons"]),
            each["state"],
        )
    return table


def _cells(hold: Mapping[str, Any]) -> Table:
    table = _columns("entity", "school", "what", "records", "of", "why", "state")
    for each in hold["cells"]:
        table.add_row(
            each["entity"],
            each["school"] or "-",
            OPS[each["op"]],
            f"{each['records']:,}",
            f"{each['population']:,}",
            each["reason"],
            each["state"],
        )
    for each in hold["depending"]:
        why = "they need records above"
        table.add_row(
            each["entity"], each["school"] or "-", OPS[each["op"]], f"{each['records']:,}", "", why, "waits"
        )
    return table


def _destinations(found: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> Table:
    table = _columns("destination", "since", *OPS.values(), "why")
    zone = zone_of(answer)
    for each in found:
        numbers = [f"{each['counts'].get(op, 0):,}" for op in OPS]
        table.add_row(each["system"], when(each["since_ms"], zone), *numbers, each["reason"])
    return table


def _columns(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
