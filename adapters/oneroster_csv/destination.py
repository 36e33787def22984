"""A folder from which a system imports OneRoster, as a destination."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Self

from pydantic import model_validator

from adapters.files.change import Unwritable
from adapters.files.held import Cells
from adapters.files.names import Template, free
from adapters.files.outbox import Outbox, OutboxSettings, Write
from bus.adapter import Delivery, EntityShape, Misfit, Surroundings, must_fit
from bus.messages import Op

from . import cells, manifest, mapped
from .file import write_part

_PLACEHOLDERS: Final = ("date", "time", "seq")


class DestinationSettings(OutboxSettings):
    """`kind`: `bulk` writes all records each time, `delta` what changed.

    `filename` may have {date} and {time} (UTC) and {seq}. For the rest see OutboxSettings.
    """

    version: Literal["1.1", "1.2"] = "1.1"
    kind: Literal["bulk", "delta"] = "bulk"
    filename: str = "oneroster-{date}-{time}-{seq}.zip"

    @model_validator(mode="after")
    def _check_filename(self) -> Self:
        try:
            names = self.template.names
        except ValueError as error:
            raise ValueError(f"filename: {error}") from None
        if not self.filename.endswith(".zip"):
            raise ValueError("filename: expected a name that ends with .zip")
        if self.kind == "delta" and "seq" not in names:
            raise ValueError(
                "filename: a delta needs {seq}, or it may overwrite one that nobody has read yet"
            )
        return self

    @property
    def template(self) -> Template:
        """The name of the zip. Raises ValueError."""
        return Template(self.filename, known=_PLACEHOLDERS)


class Destination(Outbox):
    """Writes a zip for each batch that changes any record."""

    def __init__(self, settings: DestinationSettings, surroundings: Surroundings) -> None:
        changes_only = settings.kind == manifest.DELTA
        super().__init__(settings, surroundings, _Zip(settings, surroundings), changes_only=changes_only)
        self._misfits = tuple(self.misfits(settings, surroundings.entities))

    async def check(self) -> None:
        must_fit(self._around.system, self._misfits)
        await super().check()

    @staticmethod
    def misfits(settings: DestinationSettings | None, shapes: Sequence[EntityShape]) -> Iterable[Misfit]:
        """Tables and columns that the standard does not have, and what it requires. See Misfit."""
        return mapped.misfits(settings.version if settings else None, shapes)


class _Zip:
    """Records as a zip of OneRoster. See adapters.files.outbox.Format."""

    def __init__(self, settings: DestinationSettings, surroundings: Surroundings) -> None:
        self._version, self._template = settings.version, settings.template
        self._tables = mapped.described(settings.version, surroundings.entities)
        self._pattern = self._template.pattern()
        self._headers = {table: described.header for table, described in self._tables.items()}

    def no_table(self, table: str) -> str:
        return "" if table in self._tables else f'"{table}" is no table of OneRoster {self._version}'

    def local_id(self, delivery: Delivery) -> str:
        return delivery.id

    def elsewhere(self, delivery: Delivery) -> str:
        return ""

    def cells(self, delivery: Delivery, before: Cells | None) -> Cells | None:
        if delivery.op is Op.DELETE and not delivery.deactivate:
            return None
        described = self._tables[delivery.table]
        if delivery.op is Op.DELETE:
            if "enabledUser" not in described.allowed:
                raise Unwritable(f"{delivery.table} cannot be switched off. Use on_delete: delete")
            return {**before, "enabledUser": "false"} if before else None
        return cells.cells_of(
            delivery.table, delivery.id, delivery.fields, described.allowed, described.required
        )

    def write(self, write: Write) -> tuple[int, list[str]]:
        def names(seq: int) -> list[str]:
            return [self._template.name(at_ms=write.now_ms, seq=seq)]

        seq = write.seq if write.changes is None else free(write.folder, write.seq, names)
        [name] = names(seq)
        write_part(write, write.folder / name, version=self._version, headers=self._headers)
        return seq, [name]

    def owns(self, name: str) -> bool:
        return bool(self._pattern.fullmatch(name))
