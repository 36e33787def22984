"""`yellowbus check` and `yellowbus schema`: data on stdout, the rest on stderr."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from router.commands.check import check, schema

EXAMPLE = Path(__file__).parents[3] / "integrations"

DISTRICT = "name: Testville\ntimezone: America/New_York\n"
SCHOOL = "entity: school\nowner: sis\nfields: {name: {}}\n"
SIS = """\
system: sis
source:
  adapter: oneroster_csv
  settings: {folder: "${state}/sis"}
  entities:
    school: {table: orgs, id: sourcedId, fields: {name: name}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = tmp_path / "config"
    (config / "entities").mkdir(parents=True)
    (config / "district.yaml").write_text(DISTRICT)
    (config / "entities" / "school.yaml").write_text(SCHOOL)
    (config / "sis.yaml").write_text(SIS)
    return config


def run(folder: Path, *arguments: str) -> Any:
    options = ["--config", str(folder), "--state", str(folder.parent / "state")]
    return CliRunner().invoke(check, [*options, *arguments])


def test_a_good_configuration_prints_no_data_and_exits_0(folder: Path) -> None:
    result = run(folder)

    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 entities, 1 systems, no mistakes" in result.stderr


def test_mistakes_are_printed_one_a_line_and_exit_1(folder: Path) -> None:
    (folder / "sis.yaml").write_text(SIS.replace("name: name", "nam: name").replace("orgs", "orgz"))

    result = run(folder)

    assert result.exit_code == 1
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [
        f"{folder}/sis.yaml:6:21",
        f"{folder}/sis.yaml:6:51",
    ]
    assert "mistakes: 2, files: 1" in result.stderr


def test_what_the_adapter_knows_of_a_mapping_is_a_mistake_at_its_place(folder: Path) -> None:
    idp = "system: idp\ndestination:\n  adapter: scim\n  settings: {url: 'http://127.0.0.1:1'}\n  entities:\n"
    (folder / "idp.yaml").write_text(f"{idp}    school: {{table: Users, fields: {{usrName: name}}}}\n")

    result = run(folder)

    assert result.exit_code == 1
    what = 'usrName is no attribute of an account. Did you mean "userName"?'
    assert result.stdout == f"{folder}/idp.yaml:6:37: {what}\n"


def test_connect_says_who_does_not_answer_and_exits_1(folder: Path) -> None:
    result = run(folder, "--connect")

    assert result.exit_code == 1
    assert result.stdout.startswith("sis (source): ")
    assert "/state/sis" in result.stdout


def test_connect_says_who_answers(folder: Path) -> None:
    (folder.parent / "state" / "sis").mkdir(parents=True)

    result = run(folder, "--connect")

    assert (result.exit_code, result.stdout) == (0, "sis (source): answers\n")


def test_connect_tries_the_bus_if_it_has_an_address(folder: Path) -> None:
    (folder.parent / "state" / "sis").mkdir(parents=True)
    (folder / "district.yaml").write_text(DISTRICT + "nats: {url: 'nats://127.0.0.1:1'}\n")

    result = run(folder, "--connect")

    assert result.exit_code == 1
    assert any(line.startswith("nats: ") for line in result.stdout.splitlines())


def test_the_schema_in_the_repository_is_the_one_that_is_printed() -> None:
    result = CliRunner().invoke(schema)

    assert json.loads(result.stdout) == json.loads((EXAMPLE / "schema.json").read_text()), (
        "integrations/schema.json is not fresh: yellowbus schema > integrations/schema.json"
    )
    assert json.loads(result.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_two_systems_that_listen_at_one_path_are_a_mistake(folder: Path) -> None:
    for name in ("lms", "library"):
        text = SIS.replace("sis", name).replace("oneroster_csv", "webhook").replace("sourcedId", "id")
        settings = "settings: {path: /news, secret: not-so-secret}"
        (folder / f"{name}.yaml").write_text(
            text.replace(f'settings: {{folder: "${{state}}/{name}"}}', settings)
        )

    result = run(folder)

    assert result.exit_code == 1
    [line] = result.stdout.splitlines()
    assert "another system listens at /news on 127.0.0.1:8089 already" in line
    assert "not-so-secret" not in line
