"""An expression that can never have a value of use is a mistake; one that some values do not suit is none."""

from typing import Any

import pytest

NEVER: dict[str, tuple[str, str, str, str]] = {
    "a list is compared with a number": (
        "warehouse.yaml", "\"'09' in grades\"", "grades > 3",
        "warehouse.yaml:9:13: grades > 3: fails for any value: grades is a list",
    ),
    "a date is added to a number": (
        "warehouse.yaml", "name: givenName", "name: count + email",
        "warehouse.yaml:11:15: count + email: fails for any value: count is an integer, email is text",
    ),
    "only what has no value does not fail": (
        "warehouse.yaml", "\"'09' in grades\"", "email == null || email > 3",
        "warehouse.yaml:9:13: email == null || email > 3: fails for any value: email is text",
    ),
    "a number is added to true or false": (
        "warehouse.yaml", "name: givenName", "name: active + 1",
        "warehouse.yaml:11:15: active + 1: fails for any value: active is a boolean",
    ),
    "a function does not take such a value": (
        "warehouse.yaml", "name: givenName", "name: active.upperAscii()",
        "warehouse.yaml:11:15: active.upperAscii(): fails for any value: active is a boolean",
    ),
    "a method does not take such a value": (
        "warehouse.yaml", "\"'09' in grades\"", "count.startsWith('9')",
        "warehouse.yaml:9:13: count.startsWith('9'): fails for any value: count is an integer",
    ),
    "no pattern can be read": (
        "warehouse.yaml", "\"'09' in grades\"", "email.matches('[')",
        "warehouse.yaml:9:13: email.matches('['): fails for any value: email is text",
    ),
    "it says which records, and gives text": (
        "warehouse.yaml", "\"'09' in grades\"", "email",
        "warehouse.yaml:9:13: email: gives text (expected true or false)",
    ),
    "it says which records, and gives nothing": (
        "warehouse.yaml", "\"'09' in grades\"", "'null'",
        "warehouse.yaml:9:13: null: gives nothing (expected true or false)",
    ),
    "it gives what no field can hold": (
        "warehouse.yaml", "name: givenName", "name: \"{'first': givenName}\"",
        "warehouse.yaml:11:15: {'first': givenName}: gives something else (expected text, a number,",
    ),
    "a column is text": (
        "sis.yaml", "role == 'student'", "grades > 3",
        "sis.yaml:9:13: grades > 3: fails for any value: grades is text",
    ),
    "it says which rows, and gives text": (
        "sis.yaml", "role == 'student'", "role + 'x'",
        "sis.yaml:9:13: role + 'x': gives text (expected true or false)",
    ),
    "it gives what its field cannot hold": (
        "sis.yaml", "email: email", "email: role == 'student'",
        "sis.yaml:12:16: role == 'student': gives true or false (expected text)",
    ),
    "it always has to hold": (
        "entities/student.yaml", "fields:", "invariants: [email + 1 > 2]\nfields:",
        "entities/student.yaml:3:14: email + 1 > 2: fails for any value: email is text",
    ),
    "it always has to hold, and gives text": (
        "entities/student.yaml", "fields:", "invariants: [email]\nfields:",
        "entities/student.yaml:3:14: email: gives text (expected true or false)",
    ),
}  # fmt: skip

SOMETIMES = [
    "email.startsWith('a')",
    "email.matches('^[a-z]+@')",
    "email != null && email.endsWith('.edu')",
    "email == null ? count > 3 : email != ''",
    "active",
    "active ? true : email",
    "count >= 9 && count in [9, 10]",
    "average > 3",
    "average == 4",
    "grades.exists(grade, grade == '09')",
    "int(grades[0]) > 8",
    "int(email) > 3",
    "birthDate != null && timestamp(birthDate + 'T00:00:00Z').getFullYear() > 2010",
    "givenName.split('-')[4] == 'x'",
    "key.split('/')[1].size() == 4",
    "source == 'sis'",
    "school in ['0042', '0043']",
    "givenName == 'Zoe' ? true : null",
    "email + givenName == id || count + 1 > 2 || average + 1.0 > 2.0 || active || grades.size() > 1",
    "true",
]


@pytest.fixture
def typed(written: Any) -> Any:
    """The small configuration, with a field of each type, and leave to send them all."""
    more = "  count: {type: integer}\n  active: {type: boolean}\n  average: {type: number}\n"
    written.write("entities/student.yaml", (written.folder / "entities/student.yaml").read_text() + more)
    (written.folder / "warehouse.yaml").write_text(
        (written.folder / "warehouse.yaml").read_text() + "  purpose: Reports\n  agreement: Section 3\n"
    )
    return written


@pytest.mark.parametrize(("file", "old", "new", "expected"), NEVER.values(), ids=NEVER.keys())
def test_an_expression_that_never_has_a_value_of_use_is_a_mistake(
    typed: Any, file: str, old: str, new: str, expected: str
) -> None:
    typed.change(file, old, new)

    problems = typed.problems()

    assert [problem[: len(expected)] for problem in problems] == [expected]


@pytest.mark.parametrize("expression", SOMETIMES)
def test_an_expression_that_some_values_do_not_suit_is_no_mistake(typed: Any, expression: str) -> None:
    typed.change("warehouse.yaml", "\"'09' in grades\"", f'"{expression}"')

    assert typed.problems() == []


def test_a_failure_that_is_looked_for_is_not_logged(typed: Any, caplog: pytest.LogCaptureFixture) -> None:
    typed.change("warehouse.yaml", "name: givenName", "name: givenName.split('-')[0].upperAscii()")

    assert typed.problems() == []
    assert caplog.records == []
