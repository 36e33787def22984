"""`yellowbus explain student/1001`: why each field has its value, and what each system has of the record."""

import json
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .render import when, zone_of
from .screen import screen


@click.command()
@bus_options
@click.option("--field", default="", help="Only this field.")
@click.option("--at", default="", help="As it was then: an ISO time; without a zone the district's.")
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
@click.argument("record")
def explain(where: Where, field: str, at: str, output: str, record: str) -> None:
    """Say why RECORD is as it is: ENTITY/KEY, SYSTEM:ID, or the value of a field that may be searched."""
    request: dict[str, object] = {"record": record}
    if at:
        request["at"] = at
    answer = answer_of(where, "explain", request)
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif "key" not in answer:
        click.echo(f"{record} means {len(answer['hits'])} records:", err=True)
        for hit in answer["hits"]:
            click.echo(hit)
    else:
        _print(answer, field)


def _print(answer: Mapping[str, Any], field: str) -> None:
    if field and field not in answer["fields"]:
        raise click.UsageError(f"--field {field}: {answer['entity']} has no such field")
    state = ", deleted" if answer["deleted"] else ""
    click.echo(f"{answer['key']}, rev {answer['rev']}{state}")
    if answer.get("one_with"):
        click.echo(f"one with {', '.join(answer['one_with'])} (yellowbus records split takes them apart)")
    screen().print(_fields(answer, field))
    if unknown := answer.get("terms_unknown"):
        click.echo(f"Not kept from that time, and so who decided during them: {', '.join(unknown)}", err=True)
    if not answer.get("claims_of_then", True):
        click.echo(
            "Of claims that were refused by then it shows those that a later change has seen.", err=True
        )
    if answer["systems"] and not field:
        screen().print(_systems(answer))


def _fields(answer: Mapping[str, Any], field: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("field", "value", "owner", "said by", "when", "event", "rule", "open"):
        table.add_column(name, overflow="fold")
    zone = zone_of(answer)
    for name, each in answer["fields"].items():
        if field and name != field:
            continue
        open_ = [f"{system} says otherwise since event {c['event']}" for system, c in each["claims"].items()]
        if each["asked"]:
            open_.append(f"a person is asked ({', '.join(each['asked'])})")
        if each["conflict"]:
            open_.append(f"conflict {each['conflict']['id']}, {each['conflict']['state']}")
        table.add_row(
            name,
            json.dumps(each["value"], ensure_ascii=False),
            ", ".join(each["owners"]) or "nobody",
            each["source"],
            when(each["at_ms"], zone) if each["at_ms"] else "",
            str(each["event"] or ""),
            each["rule"],
            "; ".join(open_),
        )
    return table


def _systems(answer: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("system", "its id", "holds", "last said", "waits for"):
        table.add_column(name, overflow="fold")
    zone = zone_of(answer)
    for name, each in answer["systems"].items():
        holds = "-"
        if each.get("is_there"):
            holds = f"rev {each['holds_rev']}"
            since_ms = each.get("holds_since_ms")
            holds += f" since {when(since_ms, zone)}" if since_ms else ""
        if failed := each.get("failed"):
            holds = f"failed at rev {failed['rev']} ({failed['reason']})"
            holds += ", an older one may be there" if each["is_there"] else ""
        if each.get("differs"):
            holds += f", other: {', '.join(each['differs'])}"
        for field, given_ms in sorted(each.get("not_taken_up", {}).items()):
            late = given_ms + each["takes_up_within_s"] * 1000 < answer["at_ms"] and each["takes_up_within_s"]
            holds += f", {field} not taken up since {when(given_ms, zone)}{' (late)' if late else ''}"
        waits = each.get("waits")
        table.add_row(
            name,
            ", ".join([each["local_id"] or each.get("own_id", ""), *each.get("aliases", ())]),
            holds,
            when(each["last_said_ms"], zone) if each.get("last_said_ms") else "",
            _waits(waits, zone) if waits else "",
        )
    return table


def _waits(waits: Mapping[str, Any], zone: ZoneInfo) -> str:
    """How it is with what a system is to be told yet."""
    until = f", until {when(waits['until_ms'], zone)}" if waits["until_ms"] else ""
    return f"{waits['why']}, since {when(waits['since_ms'], zone)}{until}"
