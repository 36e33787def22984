"""`yellowbus unmatched`: what a system says of something that is no record yet, or could be several."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .render import when, zone_of
from .screen import screen


@click.group()
def unmatched() -> None:
    """Records of systems that match no record of the hub, or more than one: they wait for a person."""


@unmatched.command(name="list")
@bus_options
@click.option("--dismissed", is_flag=True, help="What somebody has said is no record.")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 200))
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
@click.argument("system", required=False, default="")
def listed(where: Where, dismissed: bool, most: int, output: str, system: str) -> None:
    """List what waits (of SYSTEM), the newest first, with the records that it may be."""
    answer = answer_of(where, "unmatched.list", {"system": system, "most": most, "dismissed": dismissed})
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif answer["unmatched"]:
        screen().print(_table(answer["unmatched"], answer))
        left = answer["count"] - len(answer["unmatched"])
        if left > 0 and not dismissed:
            click.echo(f"and {left:,} more", err=True)
    else:
        click.echo("Nothing is dismissed." if dismissed else "Everything is matched.", err=True)


@unmatched.command()
@bus_options
@click.argument("record_of_system", metavar="SYSTEM:ID")
@click.argument("record", metavar="ENTITY/KEY")
@click.option("--undo", is_flag=True, help="Take a link apart again.")
@click.option("--rev", type=int, help="The rev of the record that you have seen (yellowbus explain).")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def link(where: Where, record_of_system: str, record: str, undo: bool, rev: int | None, why: str) -> None:
    """Say that SYSTEM's ID is the record ENTITY/KEY, for good. A second id of a system is an alias."""
    system, local_id = _name(record_of_system)
    request: dict[str, object] = {
        "system": system,
        "local_id": local_id,
        "key": record,
        "why": why,
        "unlink": undo,
    }
    if rev is not None:
        request["looked_at"] = rev
    answer = answer_of(where, "unmatched.link", request)
    done = "is linked with it no more" if undo else "is linked with it"
    click.echo(f"{answer['key']}: {system}:{local_id} {done} (event {answer['event']})")


@unmatched.command()
@bus_options
@click.argument("entity")
@click.argument("record_of_system", metavar="SYSTEM:ID")
@click.option("--undo", is_flag=True, help="It is to be heard again.")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def dismiss(where: Where, entity: str, record_of_system: str, undo: bool, why: str) -> None:
    """Say that it is to be no record: it waits no more, whatever the system says of it, unless a record
    matches it.
    """
    system, local_id = _name(record_of_system)
    request = {"entity": entity, "system": system, "local_id": local_id, "why": why, "undo": undo}
    answer = answer_of(where, "unmatched.dismiss", request)
    done = "is heard again" if undo else "is dismissed"
    click.echo(f"{system}:{local_id} {done} (event {answer['event']})")


def _name(text: str) -> tuple[str, str]:
    system, colon, local_id = text.partition(":")
    if not colon or not local_id:
        raise click.UsageError(f"{text}: no name of a system's record (expected SYSTEM:ID, as in idp:4f2a)")
    return system, local_id


def _table(found: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("system:id", "entity", "since", "may be", "event"):
        table.add_column(name)
    zone = zone_of(answer)
    for each in found:
        may_be = ", ".join(each["candidates"]) or "none matches"
        if each.get("linked"):
            may_be += f" (its id is that of {each['linked']})"
        name = f"{each['system']}:{each['local_id']}"
        table.add_row(name, each["entity"], when(each["at_ms"], zone), may_be, str(each["event"]))
    return table
