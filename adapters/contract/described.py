"""A subject from a file: what a person says of an adapter's system, so that the laws can be held there."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from bus import adapter
from bus.adapter import Delivery, Destination, EntityShape, Lists, Surroundings
from bus.errors import ConfigError, YellowbusError
from bus.messages import Fields, Op, Outcome, Value

from .asking import WRITTEN, opened
from .disk import full_disk
from .law import Broken, NotApplicable
from .subject import Subject

MARK: Final = "ybtest"
"""What the id of every record of a law begins with."""
LOOK_MAX_S: Final = 20.0
_SQLITE: Final = "sqlite:///"
_NOBODY: Final = "http://127.0.0.1:9"  # the discard port: nobody listens
_LAST: Final = 1_000_000

Make = Callable[[Mapping[str, object], Surroundings], Destination]


class Description(adapter.Settings):
    """One table of a system for tests, and what the adapter's `settings:` are for it.

    `sample`: a record that the system takes; {id} in a text is the record's id. `text`: a field that takes
    any text. `refused`: what of the sample to change so that the system says no. `look`: a program that is
    given an id, and prints what the system has of it: a JSON object, a list of them if there are several, or
    nothing; without it the adapter's own list is looked at. `wrong_credential`: the settings with which the
    system shuts us out.
    """

    settings: dict[str, Any]
    table: str
    id: str
    fields: dict[str, Literal["text", "integer", "number", "boolean", "date", "list"]]
    sample: dict[str, Any]
    text: str
    refused: dict[str, Any] = Field(default={})
    look: tuple[str, ...] = ()
    wrong_credential: dict[str, Any] = Field(default={})
    compares_versions: bool = True
    looks: bool = True
    patches: bool = True
    deletes: bool = True
    switches_off: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fields.get(self.text) != "text":
            raise ValueError(f'text: "{self.text}" is no field with the type text')
        for key, record in (("sample", self.sample), ("refused", self.refused)):
            if unknown := sorted(record.keys() - self.fields.keys()):
                raise ValueError(f"{key}: {unknown[0]} is none of the fields")
        return self


class Described(Subject):
    """The system that a file describes. `run` is a word that no other law's records have in their ids."""

    entity = "record"

    def __init__(
        self,
        description: Description,
        make: Make,
        known: Collection[str],
        folder: Path,
        now_ms: Callable[[], int],
        run: str,
    ) -> None:
        """`known`: the names of the adapter's settings."""
        super().__init__(folder, now_ms)
        self._description, self._make, self._known, self._run = description, make, known, run
        self._told: dict[str, Delivery] = {}
        fields = tuple(description.fields.items())
        self.shape = EntityShape(self.entity, description.table, description.id, fields)
        self.text_field = description.text
        self.compares_versions, self.patches = description.compares_versions, description.patches
        self.looks = description.looks
        self.deletes, self.switches_off = description.deletes, description.switches_off
        self.verify = description.settings.get("verify", True)

    # The adapter

    def make(self) -> Destination:
        return self._with()

    def make_unreachable(self) -> Destination:
        if folder := self._folder:
            return self._with(folder=str(folder / "not-mounted"))
        if self._url.startswith(_SQLITE):
            return self._with(url=f"{_SQLITE}{self.folder}/not/there.db")
        if self._url:
            return self._with(url=_NOBODY)
        raise NotApplicable("its settings have neither url nor folder")

    def make_refused(self) -> Destination:
        if not self._description.wrong_credential:
            raise NotApplicable("its file has no wrong_credential")
        return self._with(**self._description.wrong_credential)

    @property
    def address(self) -> str:
        return self._url if self._url.startswith("http") else super().address

    def make_through(self, url: str, timeout_s: float) -> Destination:
        return self._with(url=url, **({"timeout_s": timeout_s} if "timeout_s" in self._known else {}))

    def _with(self, **settings: Any) -> Destination:
        return self._make({**self._description.settings, **settings}, self.surroundings())

    @property
    def _url(self) -> str:
        return str(self._description.settings.get("url", ""))

    @property
    def _folder(self) -> Path | None:
        found = self._description.settings.get("folder")
        return Path(found) if found else None

    # Its system

    async def look(self, id_: str) -> Fields | None:
        found = await (self._asked if self._description.look else self._listed)(self.id(id_))
        if len(found) > 1:
            raise Broken("the record once", f"the record {len(found)} times")
        return found[0] if found else None

    async def _asked(self, id_: str) -> list[Fields]:
        """Raises ConfigError if the program is wrong."""
        program = self._description.look
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*program, id_, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise ConfigError(f"look: {program[0]}: {error.strerror}") from None
        out, err = await asyncio.wait_for(process.communicate(), LOOK_MAX_S)
        if process.returncode:
            last = err.decode(errors="replace").strip().rpartition("\n")[2]
            raise ConfigError(f"look: {program[0]} ended with {process.returncode}: {last}")
        try:
            found = json.loads(out) if out.strip() else None
        except ValueError:
            found = "no JSON"
        found = found if isinstance(found, list) else [] if found is None else [found]
        if not all(isinstance(one, dict) for one in found):
            raise ConfigError(
                "look: it printed something else than a JSON object, a list of them, or nothing"
            )
        return [{name: _value(value) for name, value in one.items()} for one in found]

    async def _listed(self, id_: str) -> list[Fields]:
        async with opened(self.make()) as there:
            if not isinstance(there, Lists):
                raise NotApplicable("nothing can look at its system: add look: to its file")
            return [
                one.fields
                async for page in there.listing(self.entity)
                for one in page
                if one.local_id == id_ or any(id_ in str(value) for value in one.fields.values())
            ]

    def blocked(self) -> AbstractAsyncContextManager[None]:
        if self._url.startswith(_SQLITE):
            return _locked(Path(self._url.removeprefix(_SQLITE)))
        return _moved_away(self._folder) if self._folder else super().blocked()

    def full(self) -> AbstractAsyncContextManager[None]:
        return full_disk() if self._folder or self._url.startswith(_SQLITE) else super().full()

    # What it is told

    def id(self, id_: str) -> str:
        return f"{MARK}-{self._run}-{id_}"

    def fields(self, id_: str, text: str = "Ada") -> dict[str, Value]:
        return {**self._filled(self._description.sample, id_), self.text_field: text}

    def bad_fields(self, id_: str) -> dict[str, Value]:
        if not self._description.refused:
            raise NotApplicable("its file has no record that the system refuses (refused:)")
        return {**self.fields(id_), **self._filled(self._description.refused, id_)}

    def _filled(self, record: Mapping[str, Any], id_: str) -> dict[str, Value]:
        full = self.id(id_)
        return {
            name: value.replace("{id}", full) if isinstance(value, str) else _value(value)
            for name, value in record.items()
        }

    def delivery(self, id_: str, seq: int, fields: Fields | None = None, **how: Any) -> Delivery:
        made = super().delivery(id_, seq, fields, **how)
        self._told[id_] = made
        return made

    # Before and after

    def check_ground(self) -> None:
        """Files are written whole: those of others would be written over. Raises ConfigError."""
        folder = self._folder
        if folder and folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"{folder}: there are files in it (expected an empty folder, for tests alone)")

    async def check_look(self) -> None:
        """Of what is not there nothing is found. Raises ConfigError if the program to look with is wrong."""
        if self._description.look and await self._asked(self.id("0000")):
            raise ConfigError("look: it found a record that nobody has written")

    async def clean(self) -> str:
        """Remove what a law has told, as far as the adapter can. What is left there, or ''."""
        left = ""
        try:
            async with opened(self.make()) as there:
                for id_ in list(self._told):
                    gone = super().delivery(id_, _LAST, op=Op.DELETE, deactivate=not self.deletes)
                    [receipt] = await there.apply([gone])
                    if receipt.outcome not in (*WRITTEN, Outcome.SUPERSEDED):
                        left = f"{gone.id} and others: {receipt.reason or receipt.outcome}"
        except YellowbusError as error:
            left = f"all that begins with {MARK}-{self._run}: {error}"
        for path in self._folder.iterdir() if self._folder and self._folder.is_dir() else ():
            if path.is_file():
                path.unlink()
        return left


def _value(found: Any) -> Value:
    """A value of YAML or JSON as records have it: a list is a tuple, of text."""
    if isinstance(found, list):
        return tuple(str(each) for each in found)
    return found if isinstance(found, str | bool | int | float | None) else json.dumps(found)


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@asynccontextmanager
async def _moved_away(folder: Path) -> AsyncIterator[None]:
    away = folder.with_name(f"{folder.name}.away")
    try:
        folder.rename(away)
    except OSError as error:
        raise NotApplicable(f"its folder cannot be moved away: {error.strerror}") from None
    try:
        yield
    finally:
        away.rename(folder)
