"""A folder into which a system exports OneRoster, as a source."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from bus.adapter import Reading, Settings, Surroundings
from bus.errors import ConfigError, Unavailable

from .package import Limits, LoosePackage, Package, ZipPackage
from .people import People
from .reading import OneRosterReading
from .settle import Candidate, News, Watch
from .shelf import Shelf
from .tables import COLUMNS


class SourceSettings(Settings):
    """`folder`: where zips, or loose CSV files (at its root, or one sub-folder a set), are put.

    `settle`: seconds that a package must not change before it is read; a file `<name>.done` or
    `<name>.ready` beside it says that it is whole (`loose-csv.done` for files at the root). `keep`: how many
    packages stay in `done/`, and in `refused/`.
    """

    folder: Path
    settle: float = Field(default=60.0, ge=0)
    poll: float = Field(default=5.0, gt=0)
    keep: int = Field(default=14, ge=1)
    expanded_bytes_max: int = Field(default=20_000_000_000, ge=1)
    expanded_times_max: int = Field(default=200, ge=1)


class Source:
    """Gives each settled package once, oldest first. What lies in the folder is work that is not finished."""

    tables: ClassVar[Mapping[str, tuple[str, ...]]] = COLUMNS
    """The columns that a configuration may map, by table."""

    def __init__(self, settings: SourceSettings, surroundings: Surroundings) -> None:
        self._settings, self._around = settings, surroundings
        self._watch = Watch(settings.folder, round(settings.settle * 1000))
        self._shelf = Shelf(settings.folder, surroundings.state, settings.keep, surroundings.now_ms)

    async def check(self) -> None:
        """Is the folder there, and may we move files in it? Raises Unavailable, ConfigError."""
        for entity in self._around.entities:
            if entity.table not in COLUMNS:
                what = f'{self._around.system}: "{entity.table}" is no table of OneRoster'
                raise ConfigError(f"{what} (expected one of {', '.join(COLUMNS)})")
        await asyncio.to_thread(self._check_folder)

    async def read(self) -> AsyncGenerator[Reading, None]:
        """Wait for packages, for ever. Raises Unavailable if the folder cannot be read."""
        await asyncio.to_thread(self._prepare)
        while True:
            news = await asyncio.to_thread(self._look)
            for name, why in news.waiting:
                self._around.waiting(name, why)
            reading = await asyncio.to_thread(self._first, news)
            if reading is None:
                await self._around.sleep(self._settings.poll)
                continue
            if self._watch.taken(reading.name):
                self._around.waiting(reading.name, "")
            try:
                yield reading
            finally:
                reading.close()
            if await asyncio.to_thread(
                reading.waits
            ):  # never in a circle over a package that nobody has put away
                await self._around.sleep(self._settings.poll)

    async def close(self) -> None:
        """Nothing stays open between readings."""

    # File access. Runs in a thread.

    def _check_folder(self) -> None:
        folder = self._settings.folder
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"{self._around.system}: {folder} is a file (expected a folder)")
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise self._unavailable("is not there, or we may not read and write it")

    def _prepare(self) -> None:
        self._check_folder()
        self._around.state.mkdir(parents=True, exist_ok=True)
        self._shelf.finish()

    def _look(self) -> News:
        try:
            return self._watch.look(self._around.now_ms())
        except OSError as error:
            raise self._unavailable(f"cannot be read: {error.strerror}") from None

    def _first(self, news: News) -> OneRosterReading | None:
        for candidate in news.settled:
            try:
                return self._reading(candidate)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._unavailable(f"{candidate.name} in it cannot be read: {error.strerror}") from None
        return None

    def _reading(self, candidate: Candidate) -> OneRosterReading:
        limits = Limits(self._settings.expanded_bytes_max, self._settings.expanded_times_max)
        package: Package
        if candidate.zipped:
            package = ZipPackage(candidate.paths[0], limits)
        else:
            package = LoosePackage(candidate.name, candidate.paths, limits)
        return OneRosterReading(
            candidate,
            package,
            self._shelf,
            entities=self._around.entities,
            people=partial(People, self._around.state),
        )

    def _unavailable(self, what: str) -> Unavailable:
        where = f"{self._around.system}: {self._settings.folder}"
        return Unavailable(f"{where} {what}. Create or mount it.", runbook="folder-unavailable")
