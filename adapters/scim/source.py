"""A SCIM service that is looked at: all of its accounts, every few minutes.

Nothing is taken by halves. What cannot be asked for is asked for again later; a list that moves while it is
read is read again at once, and refused when it does not keep still.
"""

import hashlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from adapters.scim import columns
from adapters.scim.columns import columns_of, texts
from adapters.scim.meaning import Meaning
from adapters.scim.paging import Incomplete, pages
from adapters.scim.reading import ScimReading, Spool
from adapters.scim.settings import SourceSettings, wire_of
from adapters.scim.wire import Answer, Lost
from bus.adapter import EntityShape, Misfit, Reading, Surroundings, must_fit
from bus.errors import ConfigError

LOOKS_MAX: Final = 3
"""How often a list that moves is read anew, before the look is given up."""


class Source:
    """A SCIM service that tells us. `meta.lastModified` is not asked: what differs is news, by any clock."""

    own_clock = True

    def __init__(self, settings: SourceSettings, surroundings: Surroundings) -> None:
        """Raises ConfigError for a resource or attribute that is not read."""
        self._settings, self._around = settings, surroundings
        must_fit(surroundings.system, self.misfits(settings, surroundings.entities))
        self._columns = columns_of(surroundings.entities)
        self._wire = wire_of(settings, surroundings.system, 1)
        self._meaning = Meaning(f"{surroundings.system}: {settings.url}", surroundings.now_ms)

    @staticmethod
    def misfits(settings: SourceSettings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """Resources and attributes that are not read. See Misfit."""
        return columns.misfits(shapes)

    async def check(self) -> None:
        """Does the service answer, take our token, and list what we read? Raises Unavailable, ConfigError."""
        try:
            for resource in self._columns:
                await self._wire.page(resource, 1, 1)
        except Answer as answer:
            if answer.status in (404, 501):
                where = f"{self._around.system}: {self._settings.url}/{resource}"
                raise ConfigError(f"{where}: {answer.status}. See the url in the settings") from answer
            raise self._meaning.unavailable(answer) from answer
        except Lost as lost:
            raise self._meaning.unavailable(lost) from lost

    async def read(self) -> AsyncGenerator[Reading, None]:
        """A look at once, then one every few minutes, for ever. Raises Unavailable."""
        while True:
            begun_ms = self._around.now_ms()
            reading = await self._look(begun_ms)
            try:
                yield reading
            finally:
                reading.close()
            spent_s = (self._around.now_ms() - begun_ms) / 1000
            # A clock that was set back meanwhile must not make us wait longer than usual.
            await self._around.sleep(self._settings.every - min(max(spent_s, 0.0), self._settings.every))

    async def close(self) -> None:
        """Let go of the connection. Twice is fine."""
        await self._wire.close()

    async def _look(self, begun_ms: int) -> ScimReading:
        """All accounts, or a reading that says why not. Raises Unavailable."""
        at = datetime.fromtimestamp(begun_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{', '.join(self._columns)} {at}"
        why = ""
        for _ in range(LOOKS_MAX):
            try:
                return await self._all(name, begun_ms)
            except Incomplete as incomplete:
                why = f"{incomplete} ({LOOKS_MAX} looks). It is looked at again as usual"
        return ScimReading(name, begun_ms, {}, "", why)

    async def _all(self, name: str, begun_ms: int) -> ScimReading:
        spools: dict[str, Spool] = {}
        digest = hashlib.sha256()
        try:
            for resource, columns in self._columns.items():
                spool = spools[resource] = Spool(self._around.state)
                async for page in pages(self._wire, resource, self._settings.page):
                    await spool.add([texts(each, columns) for each in page], digest)
        except BaseException as error:
            for spool in spools.values():
                spool.close()
            if isinstance(error, Answer | Lost):
                raise self._meaning.unavailable(error) from error
            raise
        return ScimReading(name, begun_ms, spools, digest.hexdigest(), "")
