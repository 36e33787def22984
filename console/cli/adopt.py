"""`yellowbus adopt SYSTEM`: the first contact with a system, and a person's word that it may go live."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .render import when, zone_of
from .screen import screen
from .spreadsheet import csv_text

REPORT_MAX_S: Final = 120.0
COLUMNS: Final = (
    "what", "entity", "key", "local_id", "found_by", "candidates", "written", "stands", "asked",
)  # fmt: skip
WHAT: Final = {
    "linked": "there and here",
    "create": "would be made there",
    "waits": "waits for one there",
    "ambiguous": "there, several match",
    "unknown": "there, unknown here",
}
DIFFERS: Final = {
    "written": "would be written there",
    "stands": "its value stands",
    "asked": "a person is asked",
}


@click.command()
@bus_options
@click.option("--csv", "as_csv", is_flag=True, help="A line for each record: ids, names of fields.")
@click.option("--approve", "hash_", metavar="HASH", default="", help="Let it go live: its report's hash.")
@click.option("--why", default="", help="With --approve: why. It stands in the audit.")
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
@click.argument("system")
def adopt(where: Where, as_csv: bool, hash_: str, why: str, output: str, system: str) -> None:
    """Report the first contact with SYSTEM: what it has and we have, what would be made and written there.

    A system starts in `observe`, where nothing is sent. With --approve and the hash of the report it goes
    live, and all that was only observed is sent.
    """
    if hash_:
        request = {"system": system, "hash": hash_, "why": why}
        answer = answer_of(where, "adopt.approve", request, within_s=REPORT_MAX_S)
        click.echo(f"{system} is live (report {answer['hash']}). See: yellowbus status")
    elif as_csv:
        click.echo(csv_text(COLUMNS, _lines(where, system)), nl=False)
    else:
        answer = answer_of(where, "adopt.report", {"system": system}, within_s=REPORT_MAX_S)
        click.echo(json.dumps(answer, ensure_ascii=False)) if output == "json" else _print(answer)


def _lines(where: Where, system: str) -> Iterator[Mapping[str, object]]:
    request: dict[str, object] = {"system": system}
    while True:
        answer = answer_of(where, "adopt.lines", request)
        yield from answer["lines"]
        if not answer["next"]:
            return
        request["at"] = answer["next"]


def _print(answer: Mapping[str, Any]) -> None:
    system, entities = answer["system"], answer["entities"]
    click.echo(f"{system}, {when(answer['at_ms'], zone_of(answer))}, mode {answer['mode']}")
    if answer["unread"]:
        click.echo(f"What it has of these is not read, so nobody here knows: {', '.join(answer['unread'])}")
    screen().print(_counts(entities))
    if any(entry["found_by"] for entry in entities.values()):
        screen().print(_found_by(entities))
    if any(entry["fields"] for entry in entities.values()):
        screen().print(_fields(entities, answer["owners"]))
    if answer["not_ready"]:
        click.echo(f"\nThis is no report to approve: {answer['not_ready']}")
    elif answer["mode"] == "observe":
        click.echo(
            f"\nNothing is sent yet. If right: yellowbus adopt {system} --approve {answer['hash']} --why ..."
        )


def _counts(entities: Mapping[str, Any]) -> Table:
    table = _empty("", *WHAT.values())
    for entity, entry in entities.items():
        table.add_row(entity, *(f"{entry[what]:,}" for what in WHAT))
    return table


def _found_by(entities: Mapping[str, Any]) -> Table:
    table = _empty("recognised by", "records")
    for entity, entry in entities.items():
        for how, count in entry["found_by"].items():
            table.add_row(f"{entity}: {how}", f"{count:,}")
    return table


def _fields(entities: Mapping[str, Any], owners: Mapping[str, Any]) -> Table:
    table = _empty("field that differs", *DIFFERS.values(), "owner")
    for entity, entry in entities.items():
        for field, counts in entry["fields"].items():
            numbers = (f"{counts.get(what, 0):,}" for what in DIFFERS)
            table.add_row(f"{entity}.{field}", *numbers, ", ".join(owners[entity][field]) or "nobody")
    return table


def _empty(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, title="")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="left" if name == "owner" else "right", overflow="fold")
    return table
