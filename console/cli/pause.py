"""`yellowbus pause` and `resume`: a destination is sent nothing for a time; what is for it waits."""

import click

from console.client import Where, answer_of, bus_options

from .render import counted, when, zone_of


@click.command()
@bus_options
@click.option("--for", "for_", default="", help="How long, as in 2h. It ends by itself.")
@click.option("--until", default="", help="Until then: an ISO time; without a zone the district's.")
@click.option("--why", required=True, help="Why: it stands in the audit, and in the status.")
@click.argument("system", metavar="DESTINATION")
def pause(where: Where, for_: str, until: str, why: str, system: str) -> None:
    """Send DESTINATION nothing, until the time given, or until it is resumed.

    What is for it waits on its work list, and goes afterwards, each record once, as it is then. What is on
    its way already still arrives. One that is paused gets the new end and reason.
    """
    if for_ and until:
        raise click.UsageError("--for or --until, not both")
    answer = answer_of(where, "pause", {"system": system, "for": for_, "until": until, "why": why})
    until_ms = answer["pause"]["until_ms"]
    end = f"until {when(until_ms, zone_of(answer))}" if until_ms else "until it is resumed"
    click.echo(f"{system} is paused {end}. {counted(answer['waiting'], 'record')} on its work list")
    click.echo(f"Go on sooner: yellowbus resume {system} --why ...", err=True)


@click.command()
@bus_options
@click.option("--why", required=True, help="Why: it stands in the audit.")
@click.argument("system", metavar="DESTINATION")
def resume(where: Where, why: str, system: str) -> None:
    """Let what waits go to DESTINATION again."""
    answer = answer_of(where, "resume", {"system": system, "why": why})
    click.echo(f"{system} goes on. {counted(answer['waiting'], 'record')} on its work list")
