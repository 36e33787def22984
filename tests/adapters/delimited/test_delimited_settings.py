"""A wrong setting is named by `yellowbus check`, with file, line and column."""

from pathlib import Path

import pytest

from router.config import check_folder

SYSTEM = """\
system: library
{side}:
  adapter: delimited
  settings:
    folder: /srv/library
    {setting}
  entities:
    student: {{table: students, id: "no", fields: {{name: {named}}}}}
"""

SIS = """\
system: sis
source:
  adapter: oneroster_csv
  settings: {folder: /srv/sis}
  entities: {student: {table: users, id: sourcedId, fields: {name: givenName}}}
"""

WRONG = {
    "a delimiter of two characters": (
        "both",
        "delimiter: '::'",
        '6:16: "delimiter": expected one character, as in , ; | or tab',
    ),
    "a delimiter that is a letter": ("both", "delimiter: x", '6:16: "delimiter": expected one character'),
    "a delimiter that quotes": ("both", 'delimiter: "\'"', '6:16: "delimiter": expected one character'),
    "an encoding that is not known": (
        "both",
        "encoding: utf8",
        '6:15: "encoding": "utf8" is not known. Did you mean "utf-8"?',
    ),
    "a file without a table": ("both", "file: students.csv", '6:11: "file": expected {table} in it.'),
    "a file in a folder": (
        "both",
        "file: 'a/{table}'",
        '6:11: "file": expected the name of a file, without a',
    ),
    "a placeholder that is not known": (
        "both",
        "file: '{table}_{day}.csv'",
        '6:11: "file": {day} (expected {date}, {seq}, {table}, {time})',
    ),
    "a part of a date that is not known": (
        "both",
        "file: '{table}_{date:%B}.csv'",
        '6:11: "file": %B in {date} (expected %Y',
    ),
    "a table's file that is not closed": (
        "both",
        "tables: {students: {file: '{seq'}}",
        "6:31: \"file\": expected '}' before end of string",
    ),
    "two tables in one file": (
        "both",
        "tables: {students: {file: a.csv}, staff: {file: a.csv}}",
        "5:5: the files of staff and students have the same name",
    ),
    "one word for true and false": ("both", "booleans: [yes, yes]", '6:15: "booleans": expected two words'),
    "a column twice": (
        "destination",
        "tables: {students: {columns: [a, b, a]}}",
        '6:24: "students": columns: a stands there twice',
    ),
    "one word for two operations": (
        "both",
        "operation: {update: D, delete: D}",
        '6:16: "operation": delete: "D" is the word for another operation too',
    ),
    "deletes of full files": (
        "both",
        "tables: {students: {deletes: gone.csv}}",
        "5:5: deletes: only with kind: changes",
    ),
    "an operation in full files": ("destination", "operation: {}", "operation: only with kind: changes"),
    "changes that would be written over": (
        "destination",
        "kind: changes\n    operation: {}",
        '"{table}.csv": changes only need {seq}',
    ),
    "a star in a name that is written": ("destination", "file: '{table}*.csv'", "* (only a source reads"),
    "a date format that is none": ("destination", "dates: '%d.%m'", '6:12: "dates": no date format'),
    "names that do not tell the same sets apart": (
        "source",
        "tables: {students: {file: 'a-{date}-*'}, staff: {file: 'b-*-{date}'}}",
        "5:5: names of files that are read together: expected the same of {date}, {time}, {seq} and *",
    ),
    "columns beside a header": (
        "source",
        "tables: {students: {columns: [a]}}",
        "students: columns: only with header: false",
    ),
    "neither header nor columns": (
        "source",
        "header: false\n    tables: {students: {}}",
        "students: columns: is missing (there is no header to say it)",
    ),
    "aliases without a header": (
        "source",
        "header: false\n    tables: {students: {columns: [a], aliases: {x: a}}}",
        "students: aliases: of a header, and there is none",
    ),
}


def problems_of(folder: Path, side: str, setting: str) -> list[str]:
    (folder / "entities").mkdir()
    (folder / "district.yaml").write_text("name: Elm\ntimezone: UTC\n")
    (folder / "entities" / "student.yaml").write_text("entity: student\nowner: sis\nfields: {name: {}}\n")
    (folder / "sis.yaml").write_text(SIS)
    named = "Name" if side == "source" else "name"
    (folder / "library.yaml").write_text(SYSTEM.format(side=side, setting=setting, named=named))
    return [str(problem) for problem in check_folder(folder, folder / "state")[1]]


SIDES = ("source", "destination")
EACH = [(wrong, side) for wrong, (of, _, _) in WRONG.items() for side in SIDES if of in (side, "both")]


@pytest.mark.parametrize(("wrong", "side"), EACH)
def test_a_wrong_setting_is_reported_at_its_place(tmp_path: Path, wrong: str, side: str) -> None:
    _, setting, expected = WRONG[wrong]

    problems = problems_of(tmp_path, side, setting)

    assert len(problems) == 1
    assert "library.yaml:" in problems[0]
    assert expected in problems[0]


@pytest.mark.parametrize("side", SIDES)
def test_without_a_mistake_there_is_no_problem(tmp_path: Path, side: str) -> None:
    settings = (
        "delimiter: tab\n    file: '{table}_{date:%Y%m%d}-{seq}.csv'\n    kind: changes\n    operation: {}"
    )

    assert problems_of(tmp_path, side, settings) == []
