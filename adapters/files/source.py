"""A watched folder as a source: each settled candidate once, oldest first."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from pydantic import Field

from bus.adapter import Reading, Settings, Surroundings
from bus.errors import Unavailable

from .place import check_folder, unavailable
from .reading import FileReading
from .settle import Candidate, Look, News, Watch
from .shelf import Shelf


class InboxSettings(Settings):
    """`folder`: where the files are put. `settle`: seconds that they must not change before they are read.

    A file `<name>.done` or `<name>.ready` beside it says that it is whole. `poll`: seconds between two looks.
    `keep`: how many stay in `done/`, and in `refused/`.
    """

    folder: Path
    settle: float = Field(default=60.0, ge=0)
    poll: float = Field(default=5.0, gt=0)
    keep: int = Field(default=14, ge=1)


class Inbox:
    """Gives each settled candidate once, oldest first. What lies in the folder is unfinished work."""

    def __init__(
        self,
        settings: InboxSettings,
        surroundings: Surroundings,
        look: Look,
        reading: Callable[[Candidate, Shelf], FileReading],
    ) -> None:
        self._settings, self._around, self._reading = settings, surroundings, reading
        self._watch = Watch(settings.folder, round(settings.settle * 1000), look)
        self._shelf = Shelf(settings.folder, surroundings.state, settings.keep, surroundings.now_ms, look)

    async def check(self) -> None:
        """Is the folder there, and may we move files in it? Raises Unavailable, ConfigError."""
        await asyncio.to_thread(self._check_folder)

    async def read(self) -> AsyncGenerator[Reading, None]:
        """Wait for files, for ever. Raises Unavailable if the folder cannot be read."""
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
            # never in a circle over a file that nobody has put away
            if await asyncio.to_thread(reading.waits):
                await self._around.sleep(self._settings.poll)

    # File access. Runs in a thread.

    def _check_folder(self) -> None:
        check_folder(self._around.system, self._settings.folder, reads=True)

    def _prepare(self) -> None:
        self._check_folder()
        self._around.state.mkdir(parents=True, exist_ok=True)
        self._shelf.finish()

    def _look(self) -> News:
        try:
            return self._watch.look(self._around.now_ms())
        except OSError as error:
            raise self._away(f"cannot be read: {error.strerror}") from None

    def _first(self, news: News) -> FileReading | None:
        for candidate in news.settled:
            try:
                return self._reading(candidate, self._shelf)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._away(f"{candidate.name} in it cannot be read: {error.strerror}") from None
        return None

    def _away(self, what: str) -> Unavailable:
        return unavailable(self._around.system, self._settings.folder, f"{what}. Create or mount it")
