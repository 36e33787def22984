"""The one command, `yellowbus`. Each sub-command is loaded when it is called, so that the first line comes at
once. Data goes to stdout, everything else to stderr; what went wrong is said in one line, without a stack.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple, NoReturn

import click

from bus.errors import YellowbusError


class Command(NamedTuple):
    """Where a sub-command stands, as "module:attribute", and what `--help` says of it."""

    reference: str
    help: str


COMMANDS: Final[Mapping[str, Command]] = {
    "up": Command("router.commands.daemon:up", "Run everything on this machine: bus, router, status."),
    "router": Command("router.commands.daemon:router", "Run the router daemon."),
    "check": Command("router.commands.check:check", "Say everything that is wrong with the configuration."),
    "adapter": Command("router.commands.adapter:adapter", "Hold an adapter against its contract."),
    "doctor": Command("router.commands.doctor:doctor", "Examine the installation."),
    "status": Command("console.cli.status:status", "Show what is delivered, waiting and failed."),
    "reads": Command("console.cli.reads:reads", "List what was read from sources, and what became of it."),
    "explain": Command("console.cli.explain:explain", "Say why a record's fields have their values."),
    "conflicts": Command("console.cli.conflicts:conflicts", "Two systems changed the same: see, and pick."),
    "unmatched": Command("console.cli.unmatched:unmatched", "What matches no record, or several: link it."),
    "records": Command("console.cli.records:records", "Two records are one; and take them apart again."),
    "plan": Command("console.cli.plan:plan", "Say what a file would do, without doing it."),
    "holds": Command("console.cli.holds:holds", "What guards have stopped: approve or discard it."),
    "adopt": Command("console.cli.adopt:adopt", "Report the first contact with a system; let it go live."),
    "failed": Command("console.cli.failed:failed", "Dead letters: see why, send again, or let them be."),
    "pause": Command("console.cli.pause:pause", "Send a destination nothing for a time; all waits."),
    "resume": Command("console.cli.pause:resume", "Let what waits go to a paused destination again."),
    "replay": Command("console.cli.replay:replay", "Bring a window of time to a destination once more."),
    "backfill": Command(
        "console.cli.backfill:backfill", "Bring all records that there are to a destination."
    ),
    "compare": Command("console.cli.compare:compare", "Read back what a destination has, and what differs."),
    "shares": Command("console.cli.shares:shares", "Show which system gets which field, why, by what right."),
    "audit": Command("console.cli.audit:audit", "What happened, counted: what nobody had to do twice."),
    "rebuild": Command("router.commands.rebuild:rebuild", "Make the router's index again from the streams."),
    "subject": Command("router.commands.subject:subject", "Print the subject of a record."),
    "decode": Command("console.cli.decode:decode", "Translate messages from stdin for a person to read."),
    "schema": Command("router.commands.check:schema", "Print the JSON Schema of the configuration."),
    "sample": Command("adapters.oneroster_csv.sample:sample", "Write an invented district as OneRoster CSV."),
    "standin-lms": Command(
        "console.lms.command:standin_lms", "Run a small LMS, to try two-way systems with."
    ),
    "demo": Command("console.cli.demo:demo", "Bring an invented district to four systems, and show it."),
}
"""In the order of `--help`."""


class Commands(click.Group):
    """A group whose commands are modules that are not loaded yet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = COMMANDS.get(cmd_name)
        return _load(cmd_name, command.reference) if command else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            _no_such_command(ctx, args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except YellowbusError as error:
            raise click.ClickException(str(error)) from None


def _load(name: str, reference: str) -> click.Command:
    module, _, attribute = reference.partition(":")
    missing = attribute
    try:
        command = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        command, missing = None, str(error.name)
    if not isinstance(command, click.Command):
        raise click.ClickException(f"{name}: {missing} is not here. Install yellowbus again")
    return command


def _no_such_command(ctx: click.Context, name: str) -> NoReturn:
    from difflib import get_close_matches  # only for somebody who mistypes

    near = get_close_matches(name, COMMANDS, n=1)
    hint = f"Did you mean {near[0]}?" if near else "See yellowbus --help."
    raise click.UsageError(f'no command "{name}". {hint}', ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="yellowbus", message="%(prog)s %(version)s")
def main() -> None:
    """The data hub of a school district: systems publish once, each other system is brought up to date, once.

    Start with `yellowbus check`, then `yellowbus up`.
    """
