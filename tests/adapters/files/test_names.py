"""Names of files: written, and recognised."""

from pathlib import Path

import pytest

from adapters.files.names import Template, free, twins

AT_MS = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{table}.csv", "users.csv"),
        ("{table}-{date}-{time}-{seq}.csv", "users-20270115-080000-000007.csv"),
        ("{date:%d.%m.%y} {table} {time:%H-%M}.txt", "15.01.27 users 08-00.txt"),
        ("day {date:%j}", "day 015"),
    ],
)
def test_a_name_is_written_and_recognised(text: str, name: str) -> None:
    template = Template(text)

    assert template.name(at_ms=AT_MS, seq=7, table="users") == name
    assert template.pattern("users").fullmatch(name)
    assert not template.pattern("users").fullmatch(f"{name}.part")
    assert not template.pattern("users").fullmatch(name.replace("1", "x").replace("u", "x"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected the name of a file"),
        ("a/{table}.csv", "without a folder"),
        (".{table}", "without a dot before it"),
        ("{month}.csv", r"\{month\} \(expected \{date\}, \{seq\}, \{table\}, \{time\}\)"),
        ("{seq:03d}.csv", r"\{seq:03d\} \(expected \{seq\}\)"),
        ("{table!r}.csv", r"\{table\}"),
        ("{date:%B}.csv", r"%B in \{date\} \(expected %Y %m"),
        ("{date", "expected '}'"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Template(text)


def test_what_tells_two_sets_apart_is_all_but_the_table() -> None:
    pattern = Template("{table}_{date}_v*.csv").pattern("users", wild=True)

    found = pattern.fullmatch("users_20270115_v3.csv")

    assert found
    assert found.groups() == ("20270115", "3")


def test_a_number_is_free_when_none_of_its_files_is_there(tmp_path: Path) -> None:
    for name in ("a-1", "b-2", "a-4"):
        (tmp_path / name).touch()

    assert free(tmp_path, 1, lambda seq: [f"a-{seq}", f"b-{seq}"]) == 3


def test_two_tables_of_one_name_are_named() -> None:
    assert twins({"users": "a.csv", "orgs": "b.csv", "classes": "a.csv"}) == "classes and users"
    assert twins({"users": "a.csv"}) == ""
