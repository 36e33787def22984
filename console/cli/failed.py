"""`yellowbus failed`: dead letters. See why, send them again when the cause is mended, or let them be."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import click
from rich.table import Table

from console.client import Where, answer_of, bus_options

from .render import counted, when, zone_of
from .screen import screen

Answer = Mapping[str, Any]
Decorated = Callable[..., Any]


def selection(function: Decorated) -> Decorated:
    """Which dead letters are meant."""
    return _decorated(
        function,
        click.option("--to", "system", default="", help="Only of this destination."),
        click.option("--entity", default="", help="Only records of this entity."),
        click.option("--reason", default="", help="Only where the reason has this in it."),
        click.option("--since", default="", help="Only of the last hours, as in 2h."),
    )


def decision(function: Decorated) -> Decorated:
    """Which, and why: one record, or all that a selection means."""
    return _decorated(
        function,
        click.argument("system_", metavar="[DESTINATION", required=False, default=""),
        click.argument("record", metavar="ENTITY/KEY | ID]", required=False, default=""),
        selection,
        click.option("--all", "everything", is_flag=True, help="All that the options above leave."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--why", required=True, help="Why: it stands in the audit."),
    )


def _decorated(function: Decorated, *decorators: Decorated) -> Decorated:
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


@click.group()
def failed() -> None:
    """Records that a destination refused for good, with the reason. See runbooks/dead-letters.md."""


@failed.command(name="list")
@bus_options
@selection
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 500))
@click.option("--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
def listed(where: Where, most: int, output: str, **given: str) -> None:
    """List dead letters, the newest first."""
    answer = answer_of(where, "failed.list", {**given, "most": most})
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif answer["failed"]:
        screen().print(_table(answer))
        left = answer["count"] - len(answer["failed"])
        if left:
            click.echo(f"and {left:,} more (--most, or a filter)", err=True)
    else:
        click.echo("There are no dead letters.", err=True)


@failed.command()
@bus_options
@click.argument("system", metavar="DESTINATION")
@click.argument("record", metavar="ENTITY/KEY | ID", required=False, default="")
@click.option("--output", default="text", show_default=True, type=click.Choice(["text", "json"]))
def show(where: Where, system: str, record: str, output: str) -> None:
    """Show why DESTINATION refused ENTITY/KEY, and what can be done; or of a letter by its ID."""
    answer = answer_of(where, "failed.show", _meant(system, record))
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    behind = f" (it is at rev {answer['newest_rev']} now)" if answer["newest_rev"] > answer["rev"] else ""
    click.echo(f"{answer['destination']}  {answer['key']}  rev {answer['rev']}{behind}  {answer['id']}")
    tried = counted(answer["attempts"], "attempt")
    click.echo(f"refused {when(answer['at_ms'], zone_of(answer))}, {tried}: {answer['reason']}")
    click.echo(f"it is told: {', '.join(answer['fields']) or 'nothing'}")
    if answer["on_its_way"]:
        click.echo("it is on its way again")
    retry_ = f"yellowbus failed retry {answer['destination']} {answer['key']} --why ..."
    click.echo(f"\nMend the cause (runbooks/{answer['runbook']}.md), then: {retry_}")


@failed.command()
@bus_options
@decision
def retry(where: Where, **given: Any) -> None:
    """Send again: one record to DESTINATION, or all that the options mean, at the destination's pace."""
    answer = _acted(where, "failed.retry", "sent again", **given)
    click.echo(f"{counted(answer['records'], 'record')} on the way again ({answer['put']})")


@failed.command()
@bus_options
@decision
def discard(where: Where, **given: Any) -> None:
    """Let them be: the destination goes without, until the record's next change."""
    answer = _acted(where, "failed.discard", "let be", **given)
    click.echo(f"{counted(answer['records'], 'record')} let be")


def _acted(
    where: Where,
    what: str,
    done: str,
    *,
    system_: str,
    record: str,
    everything: bool,
    yes: bool,
    why: str,
    **given: str,
) -> Answer:
    request: dict[str, object] = dict(given)
    if system_:
        request |= _meant(system_, record)
    elif not everything and not any(given.values()):
        raise click.UsageError("which? (expected DESTINATION ENTITY/KEY, a filter, or --all)")
    count = answer_of(where, "failed.list", {**request, "most": 1})["count"]
    if not count:
        raise click.ClickException("no dead letter is meant by that. See: yellowbus failed list")
    if not system_ and not yes:
        click.confirm(f"{counted(count, 'record')} will be {done}. Go on?", abort=True, err=True)
    return answer_of(where, what, {**request, "why": why})


def _meant(system: str, record: str) -> dict[str, str]:
    """One dead letter: by destination and record, or by its id, as in lms@1.117."""
    if bool(record) == ("@" in system):
        raise click.UsageError(
            "expected DESTINATION and ENTITY/KEY, or the ID of a dead letter, as in lms@1.117"
        )
    return {"system": system, "key": record} if record else {"id": system}


def _table(answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("to", "record", "since", "attempts", "reason"):
        table.add_column(name, overflow="fold")
    zone = zone_of(answer)
    for each in answer["failed"]:
        reason = f"{each['reason']} (on its way again)" if each["on_its_way"] else each["reason"]
        table.add_row(
            each["destination"], each["key"], when(each["at_ms"], zone), str(each["attempts"]), reason
        )
    return table
