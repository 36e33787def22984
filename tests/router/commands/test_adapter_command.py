"""`yellowbus adapter test`: an adapter in front of the real system that a file describes."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from conformance.scim_server import TOKEN, call
from conformance.scim_server import scim_url as scim_url
from record_server import record_server

from console.cli import main

SQL = {
    "settings": {"url": "sqlite:///warehouse.db", "busy_timeout_s": 0},
    "table": "student",
    "id": "id",
    "fields": {"id": "text", "name": "text", "grade": "integer", "classes": "list"},
    "sample": {"id": "{id}", "name": "Ada", "grade": 9, "classes": ["art", "été"]},
    "text": "name",
    "refused": {"grade": "ninth"},
}
LOOK = """\
import json, sys, urllib.error, urllib.request

url, token, id_ = sys.argv[1:]
request = urllib.request.Request(url + id_, headers={"Authorization": "Bearer " + token})
try:
    record = json.load(urllib.request.urlopen(request))
    print(json.dumps(record) if record["active"] else "")
except urllib.error.HTTPError as error:
    if error.code != 404:
        raise
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(name: str, description: dict[str, Any], *options: str, answer: str | None = None) -> Result:
    Path("contract.yaml").write_text(yaml.safe_dump(description))
    yes = ["--yes"] if answer is None else []
    command = ["adapter", "test", name, "--settings", "contract.yaml", *yes, *options]
    return CliRunner().invoke(main, command, input=answer)


def became(result: Result, what: str) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.startswith(what)]


def test_a_database_keeps_all_laws_that_can_be_held_there(place: Path) -> None:
    result = typed("sql", SQL)

    assert result.exit_code == 0, result.output
    assert became(result, "BROKEN") == []
    assert all("HTTP" in line or "wrong_credential" in line for line in became(result, "not run"))
    assert len(became(result, "kept")) > 25


def test_what_a_law_has_written_is_removed_again(place: Path) -> None:
    typed("sql", SQL, "--law", "unchanged")

    with closing(sqlite3.connect("warehouse.db")) as connection:
        assert connection.execute("SELECT count(*) FROM student").fetchall() == [(0,)]


def test_a_service_is_told_by_way_of_a_proxy_that_spoils_its_answers(place: Path, scim_url: str) -> None:
    url = f"{scim_url}/{place.name}"
    scim = {
        "settings": {"url": url, "token": TOKEN},
        "table": "Users",
        "id": "userName",
        "fields": {"userName": "text", "displayName": "text", "active": "boolean"},
        "sample": {"userName": "{id}@school.example", "displayName": "Ada", "active": True},
        "text": "displayName",
        "refused": {"userName": None},
        "wrong_credential": {"token": "of-yesterday"},
        "compares_versions": False,
    }
    for word in ("lost answer", "restart", "refused credential", "lists"):
        result = typed("scim", scim, "--law", word)

        assert result.exit_code == 0, result.output
        assert became(result, "BROKEN") == became(result, "not run") == []
    assert call(f"{url}/Users")["totalResults"] == 0


def test_a_system_that_cannot_list_is_looked_at_by_a_program(place: Path) -> None:
    Path("look.py").write_text(LOOK)
    with record_server() as server:
        url = f"{server.url}/{place.name}"
        http = {
            "settings": {
                "url": url,
                "token": TOKEN,
                "tables": {
                    "students": {
                        "read": "{path}/{id}",
                        "update": "PATCH {path}/{id}",
                        "body": {"active": True},
                    }
                },
            },
            "table": "students",
            "id": "id",
            "fields": {"name": "text", "note": "text", "grade": "integer"},
            "sample": {"name": "Ada {id}", "note": "Ada", "grade": 9},
            "text": "note",
            "refused": {"grade": "ninth"},
            "look": [sys.executable, "-IS", "look.py", f"{url}/students/", TOKEN],
            "compares_versions": False,
        }
        for word in ("bad record", "killed", "restart"):
            result = typed("http", http, "--law", word)

            assert result.exit_code == 0, result.output
            assert became(result, "BROKEN") == became(result, "not run") == []
        assert server.tenant(place.name).table() == {}


def test_a_broken_law_is_said_and_is_the_exit_code(place: Path) -> None:
    result = typed("sql", {**SQL, "refused": {"grade": 10}}, "--law", "bad record")

    assert result.exit_code == 1
    law = "one bad record leaves the others delivered"
    assert result.stdout == f"BROKEN   {law}: the bad record: delivered (expected: failed)\n"
    assert "1 laws: 0 kept, 1 BROKEN, 0 not run." in result.stderr


def test_nothing_is_written_before_somebody_says_that_it_is_for_tests(place: Path) -> None:
    result = typed("sql", SQL, answer="n\n")

    assert result.exit_code == 1
    assert "written to sqlite:///warehouse.db" in result.stderr
    assert not Path("warehouse.db").exists()


def test_a_folder_with_files_of_others_is_left_alone(place: Path) -> None:
    Path("outbox").mkdir()
    Path("outbox/students.csv").write_text("of others")
    delimited = {**SQL, "settings": {"folder": "outbox"}}

    result = typed("delimited", delimited)

    assert result.exit_code == 1
    assert "outbox: there are files in it (expected an empty folder, for tests alone)" in result.stderr
    assert Path("outbox/students.csv").read_text() == "of others"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"text": "grade"}, 'text: "grade" is no field with the type text'),
        ({"sample": {"nmae": "Ada"}}, "sample: nmae is none of the fields"),
        ({"lok": ["python3"]}, 'unknown key "lok"'),
        ({"settings": {"url": "sqlite:///${env:NOT_SET_HERE}"}}, "${env:NOT_SET_HERE} is not set"),
        ({"look": ["not-a-program-here"]}, "look: not-a-program-here: No such file"),
        ({"look": [sys.executable, "-c", "import sys; sys.exit('lost')"]}, "ended with 1: lost"),
        ({"look": [sys.executable, "-c", "print('Ada')"]}, "look: it printed something else than"),
        ({"settings": {"url": "postgres://there"}}, "is no sqlite:///path"),
    ],
)
def test_a_file_that_is_wrong_is_said_before_anything_is_held(
    place: Path, wrong: dict[str, Any], said: str
) -> None:
    result = typed("sql", {**SQL, **wrong})

    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


def test_an_adapter_that_is_no_destination_is_said(place: Path) -> None:
    result = typed("webhook", SQL)

    assert result.exit_code == 1
    assert 'adapter "webhook" is no destination' in result.stderr


def test_no_law_is_no_success(place: Path) -> None:
    assert typed("sql", SQL, "--law", "gravity").exit_code == 2
    assert typed("sql", SQL, "--law", "expired token").exit_code == 1  # it cannot be held there
