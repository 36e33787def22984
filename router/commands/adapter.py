"""`yellowbus adapter test`: hold an adapter against the contract, in front of a real system."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

import adapters
from adapters.contract.asking import opened
from adapters.contract.described import MARK, Described, Description
from adapters.contract.law import Became, Law, hold
from adapters.contract.laws import LAWS
from bus.adapter import Destination, Surroundings
from router.config import ConfigErrors
from router.config.positions import Unreadable, read
from router.config.settings import Surrounding, substitute
from router.config.validation import validate

Subjects = Callable[[Path, str], Described]
"""A subject whose state is in a folder, and whose records have a word in their ids."""


@click.group()
def adapter() -> None:
    """For whoever writes an adapter: adapters/README.md is the page."""


@adapter.command()
@click.argument("name")
@click.option(
    "--settings",
    "file",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the system is: the adapter's settings, a table, a record that it takes.",
)
@click.option("--law", "word", default="", help="Only the laws that have this in their name.")
@click.option("--yes", is_flag=True, help="Do not ask whether it is a system for tests.")
def test(name: str, file: Path, word: str, *, yes: bool) -> None:
    """Hold the adapter NAME against the contract, in front of the real system that FILE describes.

    Writes and removes records whose ids begin with ybtest-. Exit code 1 if a law is broken, or none was held.
    """
    laws = [law for law in LAWS if word.lower() in law.name.lower()]
    if not laws:
        raise click.UsageError(f'no law has "{word}" in its name')
    description = described(file)
    settings_class = adapters.settings_class("destination", name)

    def make(settings: Mapping[str, object], surroundings: Surroundings) -> Destination:
        return adapters.make_destination(name, settings, surroundings)

    def subject(folder: Path, run: str) -> Described:
        known = settings_class.model_fields
        return Described(description, make, known, folder, lambda: time.time_ns() // 1_000_000, run)

    if not yes:
        place = description.settings.get("url") or description.settings.get("folder") or "the system"
        what = f"Records whose ids begin with {MARK}- are written to {place}, and removed again"
        click.confirm(f"{what}. Is it a system for tests?", abort=True, err=True)
    counts = asyncio.run(_hold(laws, subject))
    click.echo(f"{len(laws)} laws: {', '.join(f'{counts[each]} {each}' for each in Became)}.", err=True)
    if counts[Became.BROKEN] or not counts[Became.KEPT]:
        raise SystemExit(1)


def described(file: Path) -> Description:
    """What a file says of a system, with its secrets. Raises ConfigErrors."""
    try:
        document = read(file.read_bytes(), str(file))
    except Unreadable as error:
        raise ConfigErrors([error.problem]) from None
    document, problems = substitute(document, Surrounding(folder=file.parent, state=file.parent / "state"))
    description, wrong = validate(Description, document, document.data)
    if description is None or problems:
        raise ConfigErrors([*problems, *wrong])
    return description


async def _hold(laws: Sequence[Law], subjects: Subjects) -> Counter[Became]:
    """Each law in a state of its own. Raises YellowbusError if there is nothing to hold it against."""
    run, counts = secrets.token_hex(3), Counter[Became]()
    with TemporaryDirectory(prefix="yellowbus-adapter-") as folder:
        new = partial(_new, subjects, Path(folder))
        await _must_be_ready(new(run))
        for number, law in enumerate(laws):
            subject = new(f"{run}-{number:02}")
            verdict = await hold(law, subject)
            counts[verdict.became] += 1
            click.echo(f"{verdict.became:<7}  {law.name}" + (f": {verdict.text}" if verdict.text else ""))
            if left := await subject.clean():
                click.echo(f"left there: {left}", err=True)
    return counts


def _new(subjects: Subjects, folder: Path, run: str) -> Described:
    state = folder / run
    state.mkdir()
    return subjects(state, run)


async def _must_be_ready(subject: Described) -> None:
    """Is it there, in order and ours alone, and can it be looked at? Raises YellowbusError."""
    subject.check_ground()
    async with opened(subject.make()) as there:
        await there.check()
    await subject.check_look()
