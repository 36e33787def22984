"""A folder into which a system exports OneRoster, as a source."""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from adapters.files.settle import Candidate
from adapters.files.shelf import Shelf
from adapters.files.source import Inbox, InboxSettings
from bus.adapter import Reading, Surroundings
from bus.errors import ConfigError

from .candidates import candidates
from .package import Limits, LoosePackage, Package, ZipPackage
from .people import People
from .reading import OneRosterReading
from .tables import COLUMNS


class SourceSettings(InboxSettings):
    """`folder`: where zips, or loose CSV files (at its root, or one sub-folder a set), are put.

    `may_be_empty`: of the tables that no school is without (NEVER_EMPTY), those that may have a header and no
    rows all the same, as enrollments before the year begins.

    The marker of files at the root is `loose-csv.done` or `loose-csv.ready`. For the rest see InboxSettings.
    """

    may_be_empty: tuple[Literal["orgs", "users", "roles", "classes", "enrollments"], ...] = ()
    expanded_bytes_max: int = Field(default=20_000_000_000, ge=1)
    expanded_times_max: int = Field(default=200, ge=1)


class Source:
    """Gives each settled package once, oldest first. What lies in the folder is work that is not finished."""

    tables: ClassVar[Mapping[str, tuple[str, ...]]] = COLUMNS
    """The columns that a configuration may map, by table."""

    def __init__(self, settings: SourceSettings, surroundings: Surroundings) -> None:
        self._settings, self._around = settings, surroundings
        self._inbox = Inbox(settings, surroundings, candidates, self._reading)

    async def check(self) -> None:
        """Is the folder there, and may we move files in it? Raises Unavailable, ConfigError."""
        for entity in self._around.entities:
            if entity.table not in COLUMNS:
                what = f'{self._around.system}: "{entity.table}" is no table of OneRoster'
                raise ConfigError(f"{what} (expected one of {', '.join(COLUMNS)})")
        await self._inbox.check()

    def read(self) -> AsyncIterator[Reading]:
        """Wait for packages, for ever. Raises Unavailable if the folder cannot be read."""
        return self._inbox.read()

    async def close(self) -> None:
        """Nothing stays open between readings."""

    def _reading(self, candidate: Candidate, shelf: Shelf) -> OneRosterReading:
        limits = Limits(self._settings.expanded_bytes_max, self._settings.expanded_times_max)
        package: Package
        if candidate.single:
            package = ZipPackage(candidate.paths[0], limits)
        else:
            package = LoosePackage(candidate.name, candidate.paths, limits)
        people = partial(People, self._around.state)
        return OneRosterReading(
            candidate,
            package,
            shelf,
            entities=self._around.entities,
            people=people,
            may_be_empty=self._settings.may_be_empty,
        )
