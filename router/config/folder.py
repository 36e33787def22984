"""The files of a configuration folder, read and validated one by one."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from router.config import positions
from router.config.documents import DistrictFile, SystemFile
from router.config.entity_documents import EntityFile
from router.config.positions import Document, Problem, Unreadable
from router.config.salvage import salvage
from router.config.settings import Surrounding, substitute
from router.config.validation import as_meant, validate

DISTRICT: Final = "district.yaml"
ENTITIES: Final = "entities"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Generic[M]):
    """One file: where everything stands, and what it says; with mistakes, what is left (None: too little).

    `whole`: nothing had to be left out or put in.
    """

    document: Document
    says: M | None
    whole: bool = False

    def name(self, key: str) -> str:
        """What it names itself under this key; of a file that does not get that far, the file's name."""
        data = self.document.data
        named = data.get(key) if isinstance(data, dict) else None
        return named if isinstance(named, str) else Path(self.document.file).stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """All files of a configuration, and what is wrong with each on its own."""

    name: str
    district: Written[DistrictFile]
    entities: tuple[Written[EntityFile], ...]
    systems: tuple[Written[SystemFile], ...]
    problems: list[Problem] = field(default_factory=list)


def read_folder(surrounding: Surrounding) -> Folder:
    """Read every YAML file of the folder. Never raises for what is in them."""
    folder = surrounding.folder
    problems: list[Problem] = []

    def written(path: Path, model: type[M]) -> Written[M]:
        try:
            document = positions.read(path.read_bytes(), str(path))
        except Unreadable as error:
            problems.append(error.problem)
            return Written(document=Document(file=str(path), data=None), says=None)
        except OSError as error:
            problems.append(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}"))
            return Written(document=Document(file=str(path), data=None), says=None)
        document, missing = substitute(document, surrounding)
        document, data, slips = as_meant(model, document, document.data)
        says, wrong = validate(model, document, data)
        problems.extend(missing + slips + wrong)
        document = replace(document, data=data)
        return Written(document=document, says=says or salvage(model, data), whole=says is not None)

    def each(paths: list[Path], model: type[M]) -> tuple[Written[M], ...]:
        return tuple(written(path, model) for path in paths)

    problems.extend(_misnamed(folder))
    return Folder(
        name=str(folder),
        district=written(folder / DISTRICT, DistrictFile),
        entities=each(_files(folder / ENTITIES), EntityFile),
        systems=each([path for path in _files(folder) if path.name != DISTRICT], SystemFile),
        problems=problems,
    )


def _files(folder: Path) -> list[Path]:
    """The YAML files of a folder, without an editor's hidden ones."""
    return [path for path in sorted(folder.glob("*.yaml")) if not path.name.startswith(".")]


def _misnamed(folder: Path) -> list[Problem]:
    """Files that somebody meant to be read."""
    paths = [*folder.glob("*.yml"), *(folder / ENTITIES).glob("*.yml")]
    return [Problem(str(path), 1, 1, "is not read. Rename it to .yaml") for path in sorted(paths)]
