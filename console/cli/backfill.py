"""`yellowbus backfill SYSTEM`: all records that there are, to one destination."""

import click

from console.client import Where, bus_options

from .replay import begin, output_option, rate_of


@click.command()
@bus_options
@click.option("--entity", "entities", multiple=True, help="Only records of this entity. May be repeated.")
@click.option("--force", is_flag=True, help="Also what is there already: all of it was lost.")
@click.option("--rate", default="", callback=rate_of, help="No faster than this, as in 5/s.")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@click.option("--yes", is_flag=True, help="Do not ask. Needs --why.")
@click.option("--why", default="", help="Why: it stands in the audit.")
@output_option
@click.argument("system")
def backfill(
    where: Where,
    entities: tuple[str, ...],
    force: bool,
    rate: float,
    dry_run: bool,
    yes: bool,
    why: str,
    output: str,
    system: str,
) -> None:
    """Bring all records that there are to SYSTEM, which is new here, or has lost them.

    Each goes once, as it is now. The job is one of `yellowbus replay list`; it is paused and cancelled there.
    """
    request = {"system": system, "entities": list(entities), "force": force, "rate_per_s": rate}
    begin(where, "backfill", request, output, dry_run=dry_run, yes=yes, why=why)
