"""What the settings of a source of delimited files may say."""

from typing import Self

from pydantic import Field, model_validator

from adapters.files.names import Template
from adapters.files.source import InboxSettings

from .form import Form, TableForm, check_tables, file_names


class TableIn(TableForm):
    """`aliases`: a header as it stands in the file: the column that is meant. `optional`: a full export may
    lack its file, and then nothing of it changes.
    """

    aliases: dict[str, str] = Field(default={})
    optional: bool = False


class SourceSettings(Form, InboxSettings):
    """A name of a file may have a * for anything. Its date, time, number and * tell the sets of files apart:
    of several tables `students_20261124.csv` and `staff_20261124.csv` are `set-20261124`, and the marker that
    says that they are whole is `set-20261124.done`.

    `kind: full`: a set has the file of each table, with all records. `changes`: what changed since the last
    one. For the rest see Form and InboxSettings.
    """

    tables: dict[str, TableIn] = Field(default={})

    @model_validator(mode="after")
    def _check_tables(self) -> Self:
        check_tables(self, self.tables.items())
        names = file_names(self, self.tables.values())
        if len({Template(name).tells_apart for name in names}) > 1:
            what = "the same of {date}, {time}, {seq} and * in each, in the same order"
            raise ValueError(f"names of files that are read together: expected {what}")
        for name, table in self.tables.items():
            if self.header and table.columns:
                raise ValueError(f"tables: {name}: columns: only with header: false (the header says it)")
            if not self.header and not table.columns:
                raise ValueError(f"tables: {name}: columns: is missing (there is no header to say it)")
            if not self.header and table.aliases:
                raise ValueError(f"tables: {name}: aliases: of a header, and there is none")
        return self
