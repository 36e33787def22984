"""A watched folder with a clock of its own, and small packages to put in it."""

import asyncio
import zipfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adapters.oneroster_csv import Source, SourceSettings
from adapters.oneroster_csv.tables import TABLES
from bus.adapter import EntityShape, Reading, Row, Surroundings
from bus.errors import Refused

ORGS = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\r\n"
USERS = ",".join(TABLES["1.1"]["users"].columns) + "\r\n"


def user(id_: str, given: str = "Tam", *, status: str = "", date: str = "") -> str:
    return f"{id_},{status},{date},true,o1,student,u{id_},,{given},Elmwick,,,{id_}@x.example,,,,07,secret\r\n"


def manifest(kinds: Mapping[str, str], version: str = "1.1") -> str:
    files = "".join(f"file.{name},{kinds.get(name, 'absent')}\r\n" for name in TABLES[version])
    return f"propertyName,value\r\nmanifest.version,1.0\r\noneroster.version,{version}\r\n{files}"


def package(
    tables: Mapping[str, str | bytes], *, kind: str = "bulk", version: str = "1.1"
) -> dict[str, str | bytes]:
    """The members of a package with these tables and the manifest that belongs to them."""
    members = {f"{name}.csv": text for name, text in tables.items()}
    return {"manifest.csv": manifest(dict.fromkeys(tables, kind), version), **members}


def zipped(path: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


@dataclass
class Inbox:
    """A folder that a source watches. Time passes only when the source sleeps."""

    root: Path
    now_ms: int = 1_800_000_000_000
    waiting: list[tuple[str, str]] = field(default_factory=list)
    on_sleep: list[object] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / "in"

    def put(self, members: Mapping[str, str | bytes], name: str = "export.zip") -> Path:
        return zipped(self.folder / name, members)

    def loose(self, members: Mapping[str, str | bytes], under: str = "") -> None:
        (self.folder / under).mkdir(exist_ok=True)
        for name, text in members.items():
            (self.folder / under / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def source(self, *entities: EntityShape, **settings: object) -> Source:
        around = Surroundings(
            system="sis",
            state=self.root / "state",
            now_ms=lambda: self.now_ms,
            sleep=self._sleep,
            entities=entities,
            waiting=lambda name, why: self.waiting.append((name, why)),
        )
        given = {"folder": self.folder, "settle": 0, **settings}
        return Source(SourceSettings.model_validate(given), around)

    @asynccontextmanager
    async def reading(self, *entities: EntityShape, **settings: object) -> AsyncIterator[Reading]:
        """The next reading of a new source."""
        async with asyncio.timeout(20), aclosing(self.source(*entities, **settings).read()) as readings:
            yield await anext(readings)

    async def refused(self, *entities: EntityShape, **settings: object) -> Refused:
        """Why the next package is refused."""
        async with self.reading(*entities, **settings) as reading:
            with pytest.raises(Refused) as caught:
                await reading.open()
                for table in reading.tables:
                    await rows(reading, table)
        return caught.value

    async def _sleep(self, delay_s: float) -> None:
        self.now_ms += round(delay_s * 1000)
        if self.on_sleep:
            self.on_sleep.pop(0)()  # type: ignore[operator]
        await asyncio.sleep(0)

    def names(self, place: str = "") -> list[str]:
        """What lies in the folder, or in one of its places."""
        folder = self.folder / place
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def rows(reading: Reading, table: str) -> list[Row]:
    """All rows of a table."""
    return [row async for batch in reading.rows(table) for row in batch]


def ids(found: Iterable[Row]) -> list[str]:
    return [row.values["sourcedId"] for row in found]
