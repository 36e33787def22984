"""The folder of a demo: what stands where in it, and how it is laid out."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click

from bus.errors import YellowbusError

from .processes import yellowbus

SOURCE: Final = "sis"
STUDENTS: Final = 300
FOLDERS: Final = (SOURCE, f"{SOURCE}-import", "assessment")
"""Where the example's systems exchange files."""

_EXAMPLES: Final = (
    Path(__file__).parents[2] / "integrations",
    Path(__file__).parents[2] / "share" / "yellowbus" / "integrations",
)
"""Where the example district stands: in a clone, and in an installation."""


class Ground(NamedTuple):
    """A demo's folder."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "integrations"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def accounts(self) -> Path:
        return self.folder / "accounts.json"

    @property
    def lms(self) -> Path:
        return self.folder / "lms.sqlite"

    @property
    def nats(self) -> Path:
        """How to reach the bus, for the shell."""
        return self.folder / "nats.env"

    @property
    def remembered(self) -> Path:
        """Which district and which day it was last."""
        return self.folder / "demo.json"


def export_name(day: int) -> str:
    """What `yellowbus sample` calls a day's export."""
    return f"oneroster-day{day:03d}.zip"


@contextmanager
def held(ground: Ground) -> Iterator[None]:
    """One demo at a time in a folder, and no other router. Raises YellowbusError."""
    ground.folder.mkdir(parents=True, exist_ok=True)
    with _locked(ground.folder / "demo.lock", "a demo is running here. Wait for it, or: --folder ANOTHER"):
        router = ground.state / "router.lock"
        if router.exists():
            with _locked(router, "a router is running here (yellowbus up?). Stop it, then try again"):
                pass
        yield


@contextmanager
def _locked(path: Path, otherwise: str) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise YellowbusError(f"{path.parent}: {otherwise}") from None
        yield


def prepare(ground: Ground, students: int | None, day: int | None, *, reset: bool) -> int:
    """Lay out the folder and write the day's export; returns the day. Raises YellowbusError."""
    if reset:
        _clear(ground)
    before = json.loads(ground.remembered.read_text()) if ground.remembered.exists() else {}
    wanted = students or before.get("students", STUDENTS)
    day = day or before.get("day", 1)
    if before and before["students"] != wanted:
        raise YellowbusError(
            f"{ground.folder}: here is a district of {before['students']} students already (asked for"
            f" {wanted}). Start over: make demo RESET=1, or yellowbus demo --reset"
        )
    if not ground.config.exists():
        shutil.copytree(_example(), ground.config)
    for folder in (*(ground.state / name for name in FOLDERS), ground.exports):
        folder.mkdir(parents=True, exist_ok=True)
    click.echo(f"Inventing a district of {wanted:,} students, day {day} ...", err=True)
    yellowbus("sample", "--students", f"{wanted}", "--seed", "1", "--day", f"{day}", str(ground.exports))
    ground.remembered.write_text(json.dumps({"students": wanted, "day": day}))
    return day


def _clear(ground: Ground) -> None:
    """Only what a demo has made: the folder may hold other things."""
    for folder in (ground.config, ground.state, ground.exports):
        shutil.rmtree(folder, ignore_errors=True)
    files = [ground.accounts, ground.remembered, ground.nats, *ground.folder.glob(f"{ground.lms.name}*")]
    for file in files:
        file.unlink(missing_ok=True)


def _example() -> Path:
    found = next((folder for folder in _EXAMPLES if folder.is_dir()), None)
    if found is None:
        raise YellowbusError(f"{_EXAMPLES[0]}: no example district. Install yellowbus again")
    return found
