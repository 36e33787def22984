"""What the laws need to know of each kind of source. A new one is one class here, and one line in
`test_sources.py`.
"""

import asyncio
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from adapters import delimited, oneroster_csv
from bus.adapter import EntityShape, Source, Surroundings


class SourceSubject(ABC):
    """A kind of source, in front of a real system of its own."""

    shape: ClassVar[EntityShape]
    text_field: ClassVar[str]
    """A column that has any text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "state").mkdir()

    @abstractmethod
    def make(self) -> Source:
        """The adapter, in front of its system."""

    @abstractmethod
    def make_unreachable(self) -> Source:
        """The adapter, in front of nothing."""

    @abstractmethod
    def tell(self, records: Iterable[tuple[str, str]]) -> None:
        """The system has these records now: an id, and what is in `text_field`."""

    @abstractmethod
    def spoil(self) -> None:
        """What the system would tell next is damaged."""

    def surroundings(self) -> Surroundings:
        return Surroundings(
            system="there",
            state=self.folder / "state",
            now_ms=lambda: 1_795_000_000_000,
            sleep=asyncio.sleep,
            entities=(self.shape,),
        )


class OneRosterCsv(SourceSubject):
    """A folder into which a system exports OneRoster 1.1 zips."""

    shape = EntityShape("org", "orgs", "sourcedId", (("sourcedId", "text"), ("name", "text")))
    text_field = "name"

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    def make(self, folder: str = "inbox") -> Source:
        self.inbox.mkdir(exist_ok=True)
        settings = {"folder": self.folder / folder, "settle": 0}
        return oneroster_csv.Source(
            oneroster_csv.SourceSettings.model_validate(settings), self.surroundings()
        )

    def make_unreachable(self) -> Source:
        return self.make("not-mounted")

    def tell(self, records: Iterable[tuple[str, str]]) -> None:
        rows = "".join(f"{id_},,,{text},school,,\r\n" for id_, text in records)
        manifest = "propertyName,value\r\nmanifest.version,1.0\r\noneroster.version,1.1\r\nfile.orgs,bulk\r\n"
        with zipfile.ZipFile(self.inbox / "export.zip", "w") as archive:
            archive.writestr("manifest.csv", manifest)
            header = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\r\n"
            archive.writestr("orgs.csv", header + rows)

    def spoil(self) -> None:
        path = self.inbox / "export.zip"
        path.write_bytes(path.read_bytes()[:-30])


class Delimited(SourceSubject):
    """A folder into which a system exports a file."""

    shape = EntityShape("org", "orgs", "no", (("no", "text"), ("name", "text")))
    text_field = "name"

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    def make(self, folder: str = "inbox") -> Source:
        self.inbox.mkdir(exist_ok=True)
        settings = {"folder": self.folder / folder, "settle": 0, "delimiter": ";"}
        return delimited.Source(delimited.SourceSettings.model_validate(settings), self.surroundings())

    def make_unreachable(self) -> Source:
        return self.make("not-mounted")

    def tell(self, records: Iterable[tuple[str, str]]) -> None:
        rows = "".join(f'{id_};"{text}"\r\n' for id_, text in records)
        (self.inbox / "orgs.csv").write_text("no;name\r\n" + rows)

    def spoil(self) -> None:
        path = self.inbox / "orgs.csv"
        path.write_bytes(path.read_bytes()[:-3])
