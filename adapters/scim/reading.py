"""One look at a service, as a reading: its rows wait on disk, where nobody finds them by a name."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from bus.adapter import Row
from bus.errors import Refused

BATCH: Final = 500


class Spool:
    """Rows of one resource, one JSON object a line, in a file without a name: it goes with the process."""

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - open until the reading is closed
        self.size_bytes = 0

    async def add(self, rows: Sequence[Mapping[str, str]], digest: "hashlib._Hash") -> None:
        """Put these after the others."""
        lines = b"".join(json.dumps(row, ensure_ascii=True).encode() + b"\n" for row in rows)
        digest.update(lines)
        self.size_bytes += len(lines)
        await asyncio.to_thread(self._file.write, lines)

    async def rows(self) -> AsyncIterator[list[Row]]:
        """From the first on."""
        await asyncio.to_thread(self._file.seek, 0)
        line = 1
        while values := await asyncio.to_thread(self._next):
            yield [Row(line + n, each) for n, each in enumerate(values)]
            line += len(values)

    def _next(self) -> list[dict[str, str]]:
        return [json.loads(text) for _, text in zip(range(BATCH), self._file, strict=False)]

    def close(self) -> None:
        self._file.close()


class ScimReading:
    """All of a service's accounts as they were from `observed_at_ms` on. `why`: why it is not all of them."""

    full = True
    warnings: tuple[str, ...] = ()

    def __init__(
        self, name: str, observed_at_ms: int, spools: Mapping[str, Spool], sha256: str, why: str
    ) -> None:
        self.name = name
        self.observed_at_ms = observed_at_ms
        self.sha256 = sha256
        self.size_bytes = sum(spool.size_bytes for spool in spools.values())
        self._spools = spools
        self._why = why

    async def open(self) -> None:
        """Raises Refused if it is not the whole."""
        if self._why:
            raise Refused([f"{self.name}: {self._why}"], code="incomplete")

    @property
    def tables(self) -> tuple[str, ...]:
        """The resources that were read."""
        return tuple(self._spools)

    def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """All of a resource, in the service's order; `line` is its place in the list."""
        return self._spools[table].rows()

    async def accept(self) -> None:
        """Nothing has to be put away: the service keeps its accounts."""

    async def refuse(self, report: str) -> None:
        """Nor put aside: `yellowbus reads` has the reasons, and the next look is another one."""

    def close(self) -> None:
        """Let go of the rows. Twice is fine."""
        for spool in self._spools.values():
            spool.close()
