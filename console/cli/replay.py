"""`yellowbus replay`: a window of time once more to one destination, and the jobs that this makes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import click
from rich.table import Table

from bus.errors import YellowbusError
from console.client import Where, answer_of, bus_options

from .render import counted, when, zone_of
from .screen import screen

PREVIEW_MAX_S: Final = 60.0
OPS: Final = {"create": "to be made", "update": "to be changed", "delete": "to be removed"}
WHAT: Final = ("same", "different", "missing", "too much", "unknown here")
KEYS_SHOWN: Final = 10
PER_S: Final = {"s": 1.0, "m": 1 / 60, "h": 1 / 3600}

Answer = Mapping[str, Any]

output_option = click.option(
    "--output", default="table", show_default=True, type=click.Choice(["table", "json"])
)


def rate_of(context: click.Context, parameter: click.Parameter, text: str) -> float:
    """Records a second, as in 5/s or 200/m; 0: none given."""
    if not text:
        return 0.0
    number, _, per = text.partition("/")
    try:
        return float(number) * PER_S[per]
    except (ValueError, KeyError):
        raise click.BadParameter(
            f"{text!r} is no rate (expected a number per s, m or h, as in 5/s)"
        ) from None


@click.group(invoke_without_command=True)
@bus_options
@click.option("--to", "system", default="", help="The destination that is told again.")
@click.option("--from", "first", default="", help="Begin of the window, as in 2026-11-20T02:00.")
@click.option(
    "--until", "last", default="", help="Its end [now]. Times without an offset are the district's."
)
@click.option("--since", default="", help="Instead: the last hours, as in 48h.")
@click.option("--entity", "entities", multiple=True, help="Only records of this entity. May be repeated.")
@click.option("--record", default="", help="Only this record, as in student/1001.")
@click.option("--force", is_flag=True, help="Also what is there already: it was restored from a backup.")
@click.option("--rate", default="", callback=rate_of, help="No faster than this, as in 5/s.")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@click.option("--yes", is_flag=True, help="Do not ask. Needs --why.")
@click.option("--why", default="", help="Why: it stands in the audit.")
@output_option
@click.pass_context
def replay(context: click.Context, /, where: Where, dry_run: bool, yes: bool, why: str, **asked: Any) -> None:
    """Bring a destination up to date with all that changed, or was delivered, in a window of time.

    Each record goes once, as it is now, and only if it is not there so already. Nothing is there twice
    afterwards. See runbooks/replay.md.
    """
    if context.invoked_subcommand:
        return
    if not asked["system"]:
        raise click.UsageError("to which destination? (expected --to NAME)", context)
    request = {
        "system": asked["system"],
        "entities": list(asked["entities"]),
        "record": asked["record"],
        "force": asked["force"],
        "rate_per_s": asked["rate"],
    }
    times = {"from": asked["first"], "until": asked["last"], "since": asked["since"]}
    begin(where, "replay", request | times, asked["output"], dry_run=dry_run, yes=yes, why=why)


def begin(
    where: Where, kind: str, request: Answer, output: str, *, dry_run: bool, yes: bool, why: str
) -> None:
    """Show what a job would do, have a person say yes and why, and start it as it was shown."""
    seen = answer_of(where, f"{kind}.preview", request, within_s=PREVIEW_MAX_S)
    if output == "json":
        click.echo(json.dumps(seen, ensure_ascii=False))
    else:
        _print_preview(seen)
    if dry_run or not _is_worth_it(seen):
        return
    if not yes:
        click.confirm("Start it?", abort=True, err=True)
        why = why or click.prompt("Why (it stands in the audit)", err=True)
    bounds = {name: seen["job"][name] for name in ("from_ms", "until_ms")}
    answer = answer_of(where, f"{kind}.start", {**request, **bounds, "why": why})
    id_ = answer["job"]["id"]
    click.echo(f"{id_} has begun. See: yellowbus replay show {id_}")


@replay.command(name="list")
@bus_options
@click.option("--to", "system", default="", help="Only of this destination.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 200))
@output_option
def listed(where: Where, system: str, most: int, output: str) -> None:
    """List jobs, the newest first."""
    answer = answer_of(where, "replay.list", {"system": system, "most": most})
    if output == "json":
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif answer["jobs"]:
        screen().print(_table(answer["jobs"], answer))
    else:
        click.echo("There was no job yet.", err=True)


@replay.command()
@bus_options
@click.argument("id")
@output_option
def show(where: Where, id: str, output: str) -> None:
    """Show one job: what was asked, how far it is, how its records ended."""
    answer = answer_of(where, "replay.show", {"id": id})
    click.echo(json.dumps(answer, ensure_ascii=False)) if output == "json" else print_job(answer)


@replay.command()
@bus_options
@click.argument("id")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def pause(where: Where, id: str, why: str) -> None:
    """Stop a job for a while. What it has put on the work list already still goes."""
    print_job(answer_of(where, "replay.pause", {"id": id, "why": why}))


@replay.command()
@bus_options
@click.argument("id")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def resume(where: Where, id: str, why: str) -> None:
    """Let a job go on where it stopped."""
    print_job(answer_of(where, "replay.resume", {"id": id, "why": why}))


@replay.command()
@bus_options
@click.argument("id")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def cancel(where: Where, id: str, why: str) -> None:
    """End a job before its end. What it has sent stays: it is what the records are now."""
    print_job(answer_of(where, "replay.cancel", {"id": id, "why": why}))


# -- what people see


def _print_preview(seen: Answer) -> None:
    job, counts, zone = seen["job"], seen["counts"], zone_of(seen)
    system, pace = job["system"], seen["pace_per_s"]
    click.echo(f"{system}, {_window(job, zone)}")
    what = " changed, or delivered there, in that time" if job["kind"] == "replay" else ""
    click.echo(f"  {counted(counts['records'], 'record')}{what}")
    click.echo(f"  {counts['there']:,} there already, as they are now")
    if counts["absent"]:
        click.echo(f"  {counts['absent']:,} not there, and not to be there")
    click.echo(f"  {counts['send']:,} to send{_minutes(counts['send'], pace)}")
    if seen["at_work"]:
        click.echo(f"Another job is at work there: {seen['at_work']}. See: yellowbus replay list", err=True)
    if not counts["records"]:
        click.echo("There is nothing to bring.", err=True)
    elif not counts["send"]:
        click.echo(
            f"All is there already. Was {system} restored from a backup since? Then it has not what is"
            " believed here: the same with --force sends all of these once more.",
            err=True,
        )


def _window(job: Answer, zone: ZoneInfo) -> str:
    if job["kind"] != "replay":
        return f"all that there is on {when(job['until_ms'], zone)}"
    return f"from {when(job['from_ms'], zone)} until {when(job['until_ms'], zone)}"


def _minutes(send: int, pace_per_s: float) -> str:
    if not send:
        return ""
    if not pace_per_s:
        return ": nobody can tell how long it takes, it was told nothing lately"
    minutes = send / pace_per_s / 60
    return f", about {max(1, round(minutes)):,} min at {pace_per_s:,.4g} a second"


def _is_worth_it(seen: Answer) -> bool:
    if seen["at_work"] and seen["counts"]["send"]:
        raise YellowbusError(f"{seen['job']['system']}: one job at a time. Nothing was done")
    return bool(seen["counts"]["send"])


def print_job(answer: Answer) -> None:
    """One job for people."""
    job, zone = answer["job"], zone_of(answer)
    click.echo(f"{job['id']}  to {job['system']}  {job['state']} since {when(answer['changed_ms'], zone)}")
    click.echo(f"  {_window(job, zone)}{_only(job)}")
    click.echo(f"  asked by {job['who']}, {when(job['at_ms'], zone)}: {job['why']}")
    click.echo(f"  {_progress(answer)}")
    for outcome, count in answer["outcomes"].items():
        click.echo(f"  {count:,} {outcome}")
    if "compared" in answer["report"]:
        _print_compared(answer["report"])
    for entity, op, count in answer["report"].get("changes", ()):
        click.echo(f"  {entity}: {count:,} {OPS[op]}")
    if answer["report"] and job["state"] == "paused" and not job["approved"]:
        click.echo(
            f"It is beyond its limits, and waits. Is it meant? yellowbus replay resume {job['id']} --why ..."
            f"\nIs it not? Put the file right, or: yellowbus replay cancel {job['id']} --why ...",
            err=True,
        )
    if answer["hindered"]:
        click.echo(f"  It waits: {answer['hindered']}")


def _print_compared(report: Answer) -> None:
    counts: dict[str, dict[str, int]] = {}
    for entity, what, count in report["compared"]:
        counts.setdefault(entity, {})[what] = count
    table = Table(box=None, pad_edge=False)
    for name in ("", *WHAT):
        table.add_column(name, justify="right" if name else "left")
    for entity, found in counts.items():
        table.add_row(entity, *(f"{found.get(what, 0):,}" for what in WHAT))
    screen().print(table)
    for entity, fields in report["fields"].items():
        for name, count in fields.items():
            click.echo(f"{entity}.{name} differs in {count:,}")
    for what, keys in report["keys"].items():
        more = f" and {len(keys) - KEYS_SHOWN:,} more (--output json)" if len(keys) > KEYS_SHOWN else ""
        click.echo(f"{what}: {', '.join(keys[:KEYS_SHOWN])}{more}")


def _only(job: Answer) -> str:
    parts = [f"only {job['record']}"] if job["record"] else []
    parts += ["forced"] if job["force"] else []
    parts += [f"at most {job['rate_per_s']:g} a second"] if job["rate_per_s"] else []
    return "".join(f", {part}" for part in parts)


def _progress(entry: Answer) -> str:
    of = f" of {entry['records']:,}" if entry["records"] >= 0 else ""
    waits = f", {entry['waiting']:,} of them on the work list" if entry["waiting"] else ""
    return f"{entry['put']:,}{of} records put{waits}"


def _table(found: Sequence[Answer], answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("job", "to", "state", "since", "put", "of", "by", "why"):
        table.add_column(name, overflow="fold")
    for each in found:
        job = each["job"]
        of = f"{each['records']:,}" if each["records"] >= 0 else "?"
        since = when(each["changed_ms"], zone_of(answer))
        table.add_row(
            job["id"], job["system"], job["state"], since, f"{each['put']:,}", of, job["who"], job["why"]
        )
    return table
