"""manifest.csv: which version, and what each file is. It must say what is there, and nothing else."""

import csv
from collections.abc import Collection, Mapping
from typing import IO, Final, NamedTuple

from adapters.files import text
from adapters.files.text import Faulty
from bus.errors import Refused

from .tables import TABLES

ABSENT: Final = "absent"
BULK: Final = "bulk"
DELTA: Final = "delta"
FILE: Final = "manifest.csv"
ROWS_MAX: Final = 1_000


class Manifest(NamedTuple):
    """Version (1.1 or 1.2) and kind (bulk or delta) of each table that is there."""

    version: str
    kinds: Mapping[str, str]


def rows_of(version: str, kinds: Mapping[str, str], *, system: str) -> list[tuple[str, str]]:
    """The manifest to write: every known file of the version stands in it."""
    files = [(f"file.{name}", kinds.get(name, ABSENT)) for name in TABLES[version]]
    head = [("propertyName", "value"), ("manifest.version", "1.0"), ("oneroster.version", version)]
    return [*head, *files, ("source.systemName", system)]


def guessed(tables: Collection[str]) -> Manifest:
    """For loose files without a manifest: bulk, and 1.2 if there are roles."""
    return Manifest("1.2" if "roles" in tables else "1.1", dict.fromkeys(tables, BULK))


def read(stream: IO[bytes], tables: Collection[str], warn: text.Warn) -> Manifest:
    """Read the manifest and hold it against the tables that are there. Raises Refused."""
    properties = _properties(stream)
    version = _version(properties, warn)
    said = {
        _table(name): value.strip().lower() for name, value in properties.items() if name.startswith("file.")
    }
    problems = [f"{FILE}: {problem}" for problem in _disagreements(version, said, tables)]
    if problems:
        raise Refused(problems, code="manifest")
    return Manifest(version, {table: said[table] for table in tables})


def _table(name: str) -> str:
    # The standard's page marks some names with a footnote star, and exports have copied it.
    return name.removeprefix("file.").rstrip("*")


def _properties(stream: IO[bytes]) -> dict[str, str]:
    reader = text.reader(stream)
    properties: dict[str, str] = {}
    try:
        for cells in reader:
            if not cells:
                continue
            if len(cells) != 2 or len(properties) >= ROWS_MAX:
                raise Faulty(reader.line_num, 1, "not a manifest (expected propertyName,value)", "manifest")
            name, value = cells[0].strip(), cells[1].strip()
            if properties.setdefault(name, value) != value:
                raise Faulty(
                    reader.line_num, 1, "a property that stands there twice, not the same", "manifest"
                )
    except Faulty as faulty:
        raise faulty.refused(FILE) from None
    except (csv.Error, UnicodeDecodeError):
        raise Refused([f"{FILE}:{reader.line_num + 1}:1: not CSV in UTF-8"], code="manifest") from None
    return properties


def _version(properties: Mapping[str, str], warn: text.Warn) -> str:
    if properties.get("manifest.version") != "1.0":
        warn(f"{FILE}: manifest.version is not 1.0")
    said = properties.get("oneroster.version", "")
    version = ".".join(said.split(".")[:2])
    if version not in TABLES:
        raise Refused([f"{FILE}: oneroster.version is not 1.1 or 1.2"], code="manifest")
    if said != version:
        warn(f"{FILE}: oneroster.version is read as {version}")
    return version


def _disagreements(version: str, said: Mapping[str, str], tables: Collection[str]) -> list[str]:
    problems = []
    for name, kind in said.items():
        if name not in TABLES["1.1"] and name not in TABLES["1.2"]:
            continue
        if kind not in (ABSENT, BULK, DELTA):
            problems.append(f"file.{name} is neither absent, bulk nor delta")
        elif kind == ABSENT and name in tables:
            problems.append(f"file.{name} is absent, but {name}.csv is there")
        elif kind != ABSENT and name not in tables:
            problems.append(f"file.{name} is {kind}, but there is no {name}.csv")
    for name in tables:
        if name not in said:
            problems.append(f"{name}.csv is there, but file.{name} does not say whether it is bulk or delta")
        elif name not in TABLES[version]:
            problems.append(f"{name}.csv is there, which OneRoster {version} does not know")
    return problems
