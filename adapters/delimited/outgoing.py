"""What the settings of a destination of delimited files may say."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.files.names import Template
from adapters.files.outbox import OutboxSettings

from .form import Form, TableForm, check_tables, file_names


def _date_format(written: str) -> str:
    usual = datetime(2000, 12, 31, tzinfo=UTC)
    try:
        read = datetime.strptime(usual.strftime(written), written)  # noqa: DTZ007
    except ValueError:
        read = None
    if read is None or read.date() != usual.date():
        raise ValueError("no date format (expected day, month and year, as in %m/%d/%Y)")
    return written


DateFormat = Annotated[str, AfterValidator(_date_format)]


class TableOut(TableForm):
    """`dates`: the formats of some of its columns. `deactivated`: the cells that switch a record off."""

    dates: dict[str, DateFormat] = Field(default={})
    deactivated: dict[str, str] = Field(default={})


class DestinationSettings(Form, OutboxSettings):
    """`dates`: how dates are written, if not as 2026-11-23. `quoting`: quote what needs it, or all cells.

    `kind: full` writes all tables with all their records each time; `changes` what a batch changed, each
    time in files of their own: their names need {seq}. For the rest see Form and OutboxSettings.
    """

    dates: DateFormat | None = None
    quoting: Literal["minimal", "all"] = "minimal"
    line_end: Literal["crlf", "lf", "cr"] = "crlf"
    tables: dict[str, TableOut] = Field(default={})

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        check_tables(self, self.tables.items())
        if self.kind == "full" and self.operation:
            raise ValueError("operation: only with kind: changes (a full file has all that is there)")
        for name in file_names(self, self.tables.values()):
            if "*" in name:
                raise ValueError(f'file: "{name}": * (only a source reads names that it does not know)')
            if self.kind == "changes" and "seq" not in Template(name).names:
                what = "changes only need {seq}, or one is written over that nobody has read yet"
                raise ValueError(f'file: "{name}": {what}')
        return self
