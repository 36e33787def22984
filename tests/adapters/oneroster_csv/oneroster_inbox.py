"""A watched folder, and small packages to put in it."""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from folders import InFolder

from adapters.oneroster_csv import Source, SourceSettings
from adapters.oneroster_csv.tables import TABLES
from bus.adapter import EntityShape, Row

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


class Inbox(InFolder):
    """A folder that a source watches."""

    def put(self, members: Mapping[str, str | bytes], name: str = "export.zip") -> Path:
        return zipped(self.folder / name, members)

    def loose(self, members: Mapping[str, str | bytes], under: str = "") -> None:
        (self.folder / under).mkdir(exist_ok=True)
        for name, text in members.items():
            (self.folder / under / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def source(self, *entities: EntityShape, **settings: object) -> Source:
        given = {"folder": self.folder, "settle": 0, **settings}
        return Source(SourceSettings.model_validate(given), self.around(*entities))


def ids(found: Iterable[Row]) -> list[str]:
    return [row.values["sourcedId"] for row in found]
