"""What an adapter knows of its system, `check` says of a mapping: offline, each at its place, all at once."""

from typing import Any

import pytest

OF_A_USER = {
    "givenName": "givenName",
    "familyName": "givenName",
    "username": "email",
    "enabledUser": '"true"',
    "role": "\"'student'\"",
    "orgSourcedIds": "school",
}


def destination(
    adapter: str, settings: str, fields: dict[str, str], *, table: str = "users", id_: str = "id"
) -> str:
    """A system that is told of students: line 6 is the table, 8 the id, the fields begin at line 10."""
    written = "".join(f"        {name}: {value}\n" for name, value in fields.items())
    return (
        f"system: lms\ndestination:\n  adapter: {adapter}\n  settings: {{{settings}}}\n  entities:\n"
        f"    student:\n      table: {table}\n      id: {id_}\n      fields:\n{written}"
    )


def without(name: str) -> dict[str, str]:
    return {field: value for field, value in OF_A_USER.items() if field != name}


ONEROSTER = ("oneroster_csv", "folder: /nowhere")
SCIM = ("scim", 'url: "http://127.0.0.1:1"')
HTTP = ("http", 'url: "http://127.0.0.1:1"')
SQL = ("sql", 'url: "sqlite:////nowhere/x.db"')
DELIMITED = ("delimited", "folder: /nowhere, tables: {users: {columns: [id, name]}}")

MISFITS: dict[str, tuple[str, list[str]]] = {
    "a column that the standard does not have": (
        destination(*ONEROSTER, {**OF_A_USER, "emal": "email"}),
        ['lms.yaml:16:9: "emal" is no column of users. Did you mean "email"?'],
    ),
    "a column of a later version of the standard": (
        destination(*ONEROSTER, {**OF_A_USER, "pronouns": "email"}),
        ['lms.yaml:16:9: "pronouns" is no column of users. Expected one of: '],
    ),
    "a table that the standard does not have": (
        destination(*ONEROSTER, OF_A_USER, table="usrs"),
        ['lms.yaml:7:14: "usrs" is no table of OneRoster 1.1. Did you mean "users"?'],
    ),
    "a required column that is not mapped": (
        destination(*ONEROSTER, without("givenName")),
        ['lms.yaml:9:7: "givenName" is missing: users requires it'],
    ),
    "a required column that is misspelt, which is no second mistake": (
        destination(*ONEROSTER, {**without("givenName"), "givnName": "givenName"}),
        ['lms.yaml:15:9: "givnName" is no column of users. Did you mean "givenName"?'],
    ),
    "columns beside settings that are wrong": (
        destination("oneroster_csv", "folder: /nowhere, version: 3", {**OF_A_USER, "emal": "email"}),
        [
            'lms.yaml:4:41: "version": "3" is not known. Expected one of: 1.1, 1.2.',
            'lms.yaml:16:9: "emal" is no column of users. Did you mean "email"?',
        ],
    ),
    "attributes that no account has": (
        destination(*SCIM, {"userName": "email", "usrType": "email", "name.givnName": "givenName"}),
        [
            'lms.yaml:11:9: usrType is no attribute of an account. Did you mean "userType"?',
            'lms.yaml:12:9: name.givnName is no attribute of an account. Did you mean "name.givenName"?',
        ],
    ),
    "an attribute that nobody may write": (
        destination(*SCIM, {"userName": "email", "meta": "email"}),
        ["lms.yaml:11:9: meta cannot be mapped: externalId is always the record's id there"],
    ),
    "an account without a name": (
        destination(*SCIM, {"emails.work": "email"}),
        ['lms.yaml:9:7: "userName" is missing: an account requires it'],
    ),
    "a list for one value": (
        destination(*SCIM, {"USERNAME": "email", "title": "grades"}),
        ["lms.yaml:11:9: title: a list cannot stand in an attribute with one value"],
    ),
    "a resource that is not told": (
        destination(*SCIM, {"userName": "email"}, table="Userz"),
        ['lms.yaml:7:14: Userz is no resource that can be told (Users expected). Did you mean "Users"?'],
    ),
    "a field in the way of another": (
        destination(*HTTP, {"user": "email", "user.name": "givenName"}),
        ["lms.yaml:11:9: user.name: user is a value already"],
    ),
    "settings of a table that nothing goes to": (
        destination("http", f"{HTTP[1]}, tables: {{usrs: {{}}}}", {"name": "givenName"}),
        ['lms.yaml:4:50: no entity goes to usrs. Did you mean "users"?'],
    ),
    "columns that are one to a database, or its own": (
        destination(*SQL, {"name": "givenName", "Name": "email", "_version": "email"}),
        [
            "lms.yaml:11:9: table users: Name and name are one column to a database, which ignores case",
            "lms.yaml:12:9: table users: yellowbus has a column _version of its own",
        ],
    ),
    "a table that the database keeps for itself": (
        destination(*SQL, {"name": "givenName"}, table="sqlite_users"),
        ["lms.yaml:7:14: 'sqlite_users' cannot be the name of a table"],
    ),
    "a database that there is no way to": (
        destination("sql", "url: 'postgresql://db/x'", {"name": "givenName"}),
        ["lms.yaml:4:19: url: postgresql: is no sqlite:///path. PostgreSQL comes later"],
    ),
    "a column that the settings do not have, and a table that nothing goes to": (
        destination("delimited", f"{DELIMITED[1][:-1]}, usrs: {{}}}}", {"name": "givenName", "nam": "email"}),
        [
            'lms.yaml:4:71: tables: usrs: no entity has this table. Did you mean "users"?',
            'lms.yaml:11:9: users has no column nam. Did you mean "name"?',
        ],
    ),
    "a password, which is one mistake": (
        destination(*ONEROSTER, {**OF_A_USER, "password": "email"}),
        ["lms.yaml:16:9: a password is never read or sent. Take it out"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISFITS.values(), ids=MISFITS.keys())
def test_what_a_system_cannot_have_is_a_mistake_at_its_place(
    written: Any, text: str, expected: list[str]
) -> None:
    written.write("lms.yaml", text)

    problems = written.problems()

    assert len(problems) == len(expected), problems
    for problem, wanted in zip(problems, expected, strict=True):
        assert problem.startswith(wanted)


@pytest.mark.parametrize(
    "text",
    [
        destination(*ONEROSTER, {**OF_A_USER, "metadata.house": "email", "sourcedId": "id"}),
        destination("oneroster_csv", 'folder: /nowhere, version: "1.2"', {**OF_A_USER, "pronouns": "email"}),
        destination(*SCIM, {"username": "email", "enterprise.department": "school", "ims.chat": "email"}),
        destination(*SCIM, {"userName": "email", "externalId": "id"}, id_="externalId"),
        destination(*HTTP, {"user.name": "givenName", "user.email": "email"}),
        destination(*SQL, {"name": "givenName", "grades": "grades"}),
        destination(*DELIMITED, {"name": "givenName"}),
    ],
)
def test_what_a_system_can_have_is_no_mistake(written: Any, text: str) -> None:
    written.write("lms.yaml", text)

    assert written.problems() == []


def test_a_source_s_column_is_a_mistake_wherever_it_is_read(written: Any) -> None:
    written.write(
        "idp.yaml",
        'system: idp\nsource:\n  adapter: scim\n  settings: {url: "http://127.0.0.1:1"}\n  entities:\n'
        "    student:\n      table: Users\n      id: id\n      when: usrType == 'x'\n      fields:\n"
        "        email: emials.work\n        givenName: usrType\n",
    )

    problems = written.problems()

    assert problems == [
        'idp.yaml:9:13: usrType is no attribute of an account. Did you mean "userType"?',
        'idp.yaml:11:16: emials.work is no attribute of an account. Did you mean "emails.work"?',
        'idp.yaml:12:20: usrType is no attribute of an account. Did you mean "userType"?',
    ]


def test_a_column_that_no_header_names_is_a_mistake_of_the_source(written: Any) -> None:
    written.write(
        "hr.yaml",
        "system: hr\nsource:\n  adapter: delimited\n"
        "  settings: {folder: /nowhere, header: false, tables: {people: {columns: [id, name]}}}\n"
        "  entities:\n    student:\n      table: people\n      id: nr\n      fields:\n"
        "        givenName: name\n        email: nam\n",
    )

    problems = written.problems()

    assert problems == [
        "hr.yaml:8:11: people: no column nr. Expected one of: id, name.",
        'hr.yaml:11:16: people: no column nam. Did you mean "name"?',
    ]
