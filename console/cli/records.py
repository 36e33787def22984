"""`yellowbus records`: two records turn out to be one, and are taken apart again."""

import click

from console.client import Where, answer_of, bus_options


@click.group()
def records() -> None:
    """Two records that are one (a person with two ids), and taking them apart again."""


@records.command()
@bus_options
@click.argument("stays", metavar="ENTITY/STAYS")
@click.argument("leaves", metavar="ENTITY/LEAVES")
@click.option("--rev", type=int, help="The rev of STAYS that you have seen (yellowbus explain).")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def merge(where: Where, stays: str, leaves: str, rev: int | None, why: str) -> None:
    """Make two records one. STAYS keeps its key and its values; all ids of LEAVES are its aliases."""
    request: dict[str, object] = {"stays": stays, "leaves": leaves, "why": why}
    if rev is not None:
        request["looked_at"] = rev
    answer = answer_of(where, "records.merge", request)
    click.echo(f"{answer['leaves']} is one with {answer['stays']} now (event {answer['event']})")


@records.command()
@bus_options
@click.argument("record", metavar="ENTITY/LEFT")
@click.option("--why", required=True, help="Why: it stands in the audit.")
def split(where: Where, record: str, why: str) -> None:
    """Take apart what was made one: the record that left comes back with its ids, and what they have said."""
    answer = answer_of(where, "records.split", {"key": record, "why": why})
    state = ", and deleted: its owner does not have it any more" if answer["deleted"] else ""
    click.echo(f"{answer['leaves']} is a record of its own again{state} (event {answer['event']})")
    click.echo(f"{answer['stays']} goes on without its ids", err=True)
