"""Each mistake is reported where it stands, in words that help, and all of them at once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from router.config import ConfigErrors, check_folder, load

EXAMPLE = Path(__file__).parents[3] / "integrations"

MISTAKES: dict[str, tuple[str, str, str, list[str]]] = {
    "an unknown key": (
        "sis.yaml", "  adapter:", "  adaptor:",
        ['sis.yaml:3:3: unknown key "adaptor". Did you mean "adapter"?'],
    ),
    "a key of a later version": (
        "sis.yaml", "  settings:", "  expect: {every: 1d}\n  settings:",
        ['sis.yaml:4:3: "expect" does nothing in this version yet. Take it out'],
    ),
    "an unknown system": (
        "entities/student.yaml", "owner: sis", "owner: siss",
        ['entities/student.yaml:2:8: owner: "siss" is no system here. Did you mean "sis"?'],
    ),
    "an unknown owner of a field": (
        "entities/student.yaml", "email: {", "email: {owner: sys, ",
        ['entities/student.yaml:5:18: email.owner: "sys" is no system here. Did you mean "sis"?'],
    ),
    "an owner that says nothing of its records": (
        "entities/school.yaml", "owner: sis", "owner: warehouse",
        ["entities/school.yaml:2:8: owner: warehouse tells us nothing of school"],
    ),
    "an owner that says nothing of its field": (
        "entities/student.yaml", "grades: {", "grades: {owner: sis, ",
        ["entities/student.yaml:7:19: grades.owner: sis does not map this field of student in its source:"],
    ),
    "an unknown entity": (
        "sis.yaml", "\n    school:", "\n    schol:",
        ['sis.yaml:16:5: "schol" is no entity here. Did you mean "school"?'],
    ),
    "an unknown field": (
        "sis.yaml", "        email: email", "        emial: email",
        [
            'sis.yaml:12:9: "emial" is no field of student. Did you mean "email"?',
            'sis.yaml:15:9: "email" is not among the fields above. Did you mean "emial"?',
        ],
    ),
    "an unknown field in a destination": (
        "warehouse.yaml", "mail: email", "mail: e_mail",
        ['warehouse.yaml:12:15: "e_mail" is no field of student. Did you mean "email"?'],
    ),
    "an unknown column of a table that the adapter knows": (
        "sis.yaml", "givenName: givenName", "givenName: givnName",
        ['sis.yaml:11:20: "givnName" is no column of users. Did you mean "givenName"?'],
    ),
    "an unknown table": (
        "sis.yaml", "table: orgs", "table: org",
        ['sis.yaml:17:14: "org" is no table of this adapter. Did you mean "orgs"?'],
    ),
    "an unknown adapter": (
        "sis.yaml", "oneroster_csv", "oneroster",
        ['sis.yaml:3:12: "oneroster" is no source adapter. Did you mean "oneroster_csv"?'],
    ),
    "an adapter that cannot be a source": (
        "sis.yaml", "oneroster_csv", "sql",
        ['sis.yaml:3:12: "sql" is no source adapter. Expected one of: delimited, oneroster_csv, scim, '],
    ),
    "a setting that the adapter does not know": (
        "sis.yaml", "folder: /nowhere", "folder: /nowhere, setle: 3",
        ['sis.yaml:4:32: unknown key "setle". Did you mean "settle"?'],
    ),
    "a setting that the adapter cannot use": (
        "sis.yaml", "folder: /nowhere", "folder: /nowhere, settle: -1",
        ['sis.yaml:4:40: "settle": input should be greater than or equal to 0'],
    ),
    "an expression that does not parse": (
        "sis.yaml", "when: role == 'student'", "when: role == ",
        ["sis.yaml:9:13: role ==: mismatched input '<EOF>' at character 8"],
    ),
    "an expression with an unknown name": (
        "warehouse.yaml", "in grades", "in grade",
        ['warehouse.yaml:9:13: \'09\' in grade: "grade" is no field of student. Did you mean "grades"?'],
    ),
    "an expression with an unknown function": (
        "warehouse.yaml", "name: givenName", "name: givenName.uper()",
        ['warehouse.yaml:11:15: givenName.uper(): there is no function uper(). Expected one of: '],
    ),
    "a sensitive field without purpose and agreement": (
        "warehouse.yaml", "mail: email", "born: birthDate",
        ['warehouse.yaml:12:15: "birthDate" is sensitive. destination: needs purpose: and agreement:'],
    ),
    "a sensitive field in an expression": (
        "warehouse.yaml", "mail: email", "born: birthDate + 'x'",
        ['warehouse.yaml:12:15: "birthDate" is sensitive. destination: needs purpose: and agreement:'],
    ),
    "a password that is read": (
        "sis.yaml", "email: email", "email: password",
        ['sis.yaml:12:16: password: a password is never read or sent. Take it out'],
    ),
    "a password that is kept": (
        "entities/student.yaml", "  email:", "  Password: {}\n  email:",
        ["entities/student.yaml:5:3: a password is never read or kept. Take the field out"],
    ),
    "a password that is sent": (
        "warehouse.yaml", "mail: email", "password: email",
        ["warehouse.yaml:12:9: a password is never read or sent. Take it out"],
    ),
    "a reference to nothing": (
        "entities/student.yaml", "to: school", "to: scool",
        ['entities/student.yaml:8:33: "school": "scool" is no entity here. Did you mean "school"?'],
    ),
    "a key that is far from a known one": (
        "warehouse.yaml", "  adapter: sql", "  driver: sql",
        [
            'warehouse.yaml:3:3: "adapter" is missing',
            'warehouse.yaml:3:3: unknown key "driver". Expected one of: adapter, ',
        ],
    ),
    "a setting with a slip": (
        "sis.yaml", "{folder: /nowhere}", "{foldr: /nowhere}",
        ['sis.yaml:4:14: unknown key "foldr". Did you mean "folder"?'],
    ),
    "a partition that is no field": (
        "entities/student.yaml", "owner: sis", "owner: sis\npartition: scool",
        ['entities/student.yaml:3:12: partition: "scool" is no field of this entity. Did you mean "school"?'],
    ),
    "a partition that is no reference": (
        "entities/student.yaml", "owner: sis", "owner: sis\npartition: email",
        ['entities/student.yaml:3:12: partition: "email" is a text (expected a reference)'],
    ),
    "a required field that its owner does not map": (
        "entities/student.yaml", "email: {", "email: {}\n  nick: {required: true, ",
        ['sis.yaml:10:7: "nick" is missing: student requires it, and sis owns it'],
    ),
    "our id, of a system that is told nothing": (
        "sis.yaml", "id: sourcedId\n", "id: sourcedId\n      hub_id: identifier\n",
        [
            "sis.yaml:9:15: it is not told of student, so no student there is made by us. Take it out",
        ],
    ),
    "a bad normalization": (
        "sis.yaml", "[trim, lower]", "[trim, lwer]",
        [
            'sis.yaml:15:23: "lwer" is neither one of trim, lower, upper nor a date format as in %m/%d/%Y',
        ],
    ),
    "an unknown mode": (
        "warehouse.yaml", "  rate:", "  mode: life\n  rate:",
        ['warehouse.yaml:5:9: "mode": "life" is not known. Did you mean "live"?'],
    ),
    "a window": (
        "warehouse.yaml", "  rate:", "  schedule: {windows: ['05:00-11pm']}\n  rate:",
        ['warehouse.yaml:5:24: "windows": no window (expected two times of the day, as in 05:00-23:00)'],
    ),
    "a window without an end": (
        "warehouse.yaml", "  rate:", "  schedule: {windows: '05:00-05:00'}\n  rate:",
        ['warehouse.yaml:5:23: "windows": a window that ends where it begins (expected none for the whole'],
    ),
    "a window that YAML takes for a number": (
        "warehouse.yaml", "  rate:", "  schedule: {windows: [5]}\n  rate:",
        ['warehouse.yaml:5:24: "windows": no window (expected two times of the day, as in 05:00-23:00)'],
    ),
    "a cron line": (
        "warehouse.yaml", "  rate:", "  schedule: {cron: 0 25 * * *}\n  rate:",
        ['warehouse.yaml:5:20: "cron": no cron line: bad hour'
        " (expected minute, hour, day, month, day of the week, as in 0 5 * * *)"],
    ),
    "a cron line with seconds": (
        "warehouse.yaml", "  rate:", "  schedule: {cron: 0 0 5 * * *}\n  rate:",
        ['warehouse.yaml:5:20: "cron": no cron line'
        " (expected minute, hour, day, month, day of the week, as in 0 5 * * *)"],
    ),
    "a cron line of a day that there is not": (
        "warehouse.yaml", "  rate:", "  schedule: {cron: 0 5 30 2 *}\n  rate:",
        ['warehouse.yaml:5:20: "cron": no cron line: bad day-of-month'
        " (expected minute, hour, day, month, day of the week, as in 0 5 * * *)"],
    ),
    "a part of a schedule": (
        "warehouse.yaml", "  rate:", "  schedule: {window: '05:00-23:00'}\n  rate:",
        ['warehouse.yaml:5:14: unknown key "window". Did you mean "windows"?'],
    ),
    "a rate": (
        "warehouse.yaml", "10/s", "10 per s",
        ['warehouse.yaml:5:9: "rate": no rate (expected a number per s, m or h, as in 10/s)'],
    ),
    "a duration": (
        "warehouse.yaml", "linger: 2s", "linger: 2",
        ['warehouse.yaml:6:11: "linger": no duration (expected a number with ms, s, m, h or d, as in 2s)'],
    ),
    "a time zone": (
        "district.yaml", "New_York", "New_Yrok",
        ['district.yaml:2:11: "America/New_Yrok" is no time zone. Did you mean "America/New_York"?'],
    ),
    "a secret that is not there": (
        "district.yaml", "name: Testville", "name: ${env:NO_SUCH_VARIABLE}",
        [
            "district.yaml:1:7: ${env:NO_SUCH_VARIABLE} is not set. "
            "Set it, or write ${env:NO_SUCH_VARIABLE:-default}"
        ],
    ),
    "a number where text is meant": (
        "district.yaml", "Testville", "12",
        ['district.yaml:1:7: "name": a number (expected text; quote it)'],
    ),
    "a key that is too short": (
        "district.yaml", "name: Testville", "name: Testville\nkey: short",
        ['district.yaml:2:6: "key": 5 bytes (expected at least 16, of random)'],
    ),
    "a name that the bus uses": (
        "warehouse.yaml", "system: warehouse", "system: operator",
        ['warehouse.yaml:1:9: "operator" is a name that yellowbus uses itself. Choose another'],
    ),
    "a name that cannot stand in a subject": (
        "warehouse.yaml", "system: warehouse", "system: ware.house",
        ['warehouse.yaml:1:9: "system": "ware.house" is no name (expected ^[a-z][a-z0-9_-]{0,31}$)'],
    ),
    "no YAML": ("sis.yaml", "system: sis", "system: [", ["sis.yaml:3:10: not YAML"]),
}  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_reported_at_its_place(
    written: Any, file: str, old: str, new: str, expected: list[str]
) -> None:
    written.change(file, old, new)

    problems = written.problems()

    assert len(problems) == len(expected), problems
    for problem, wanted in zip(problems, expected, strict=True):
        assert problem.startswith(wanted)


def test_without_a_mistake_there_is_a_district_and_no_problem(written: Any) -> None:
    district, problems = written.check()

    assert problems == []
    assert list(district.systems) == ["sis", "warehouse"]


def test_every_mistake_is_reported_at_once_in_the_order_of_the_files(written: Any) -> None:
    written.change("district.yaml", "New_York", "Nowhere_City")
    written.change("sis.yaml", "email: email", "emial: email")
    written.change("warehouse.yaml", "adapter: sql", "adapter: slq")

    places = [problem.split(": ")[0] for problem in written.problems()]

    assert places == ["district.yaml:2:11", "sis.yaml:12:9", "sis.yaml:15:9", "warehouse.yaml:3:12"]


def test_two_files_that_claim_one_system_are_a_mistake(written: Any) -> None:
    written.write("copy.yaml", (written.folder / "warehouse.yaml").read_text())

    (problem,) = written.problems()

    assert problem == f'warehouse.yaml:1:9: "warehouse" a second time (first in {written.folder}/copy.yaml:1)'


def test_two_files_that_claim_one_field_are_a_mistake_for_the_entity_and_the_field(written: Any) -> None:
    written.write("entities/z.yaml", "entity: school\nowner: sis\nfields:\n  city: {}\n  name: {}\n")

    problems = written.problems()

    school = f"{written.folder}/entities/school.yaml"
    assert problems == [
        f'entities/z.yaml:1:9: "school" a second time (first in {school}:1)',
        f'entities/z.yaml:5:3: "school.name" a second time (first in {school}:4)',
    ]


def test_required_references_in_a_circle_are_a_mistake_of_each_entity_in_it(written: Any) -> None:
    written.change("entities/student.yaml", "to: school", "to: school, required: true")
    written.change(
        "entities/school.yaml", "fields:", "fields:\n  head: {type: reference, to: student, required: true}"
    )
    written.change("sis.yaml", "        name: name", "        name: name\n        head: identifier")

    problems = written.problems()

    assert [problem.split(". ")[0] for problem in problems] == [
        "entities/school.yaml:4:3: required references in a circle: school → student → school",
        "entities/student.yaml:8:3: required references in a circle: student → school → student",
    ]


def test_a_file_with_mistakes_makes_no_second_mistakes_in_others(written: Any) -> None:
    written.change("sis.yaml", "  adapter:", "  adaptor:")
    written.change("entities/school.yaml", "required: true", "requird: true")

    files = {problem.split(":")[0] for problem in written.problems()}

    assert files == {"sis.yaml", "entities/school.yaml"}


def test_a_secret_is_shown_in_no_problem(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SECRET", "hunter2")
    written.change("warehouse.yaml", 'url: "sqlite:////nowhere/x.db"', "url: {a: ${env:TEST_SECRET}}")
    written.change("sis.yaml", "oneroster_csv", "${env:TEST_SECRET}")
    written.change("district.yaml", "America/New_York", "${env:TEST_SECRET}")

    problems = written.problems()

    assert len(problems) == 3
    assert not any("hunter2" in problem for problem in problems)


def test_a_file_that_would_be_overlooked_is_a_mistake(written: Any) -> None:
    written.write("lms.yml", "system: lms\n")
    written.write(".#sis.yaml", "an editor's")

    (problem,) = written.problems()

    assert problem == "lms.yml:1:1: is not read. Rename it to .yaml"


def test_neither_key_nor_settings_show_in_the_districts_repr(written: Any) -> None:
    written.change("district.yaml", "name:", "key: 0123456789abcdef0123x\nname:")

    district = written.district()

    assert "0123456789" not in repr(district)
    assert "/nowhere" not in repr(district)


def test_a_folder_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    _, problems = check_folder(tmp_path / "no", tmp_path)

    assert [str(problem) for problem in problems] == [
        f"{tmp_path / 'no'}: is no folder (expected one with district.yaml)"
    ]


def test_an_empty_folder_lacks_everything(tmp_path: Path) -> None:
    _, problems = check_folder(tmp_path, tmp_path)

    assert [problem.file for problem in problems] == [str(tmp_path / "district.yaml")]


def test_load_raises_all_problems_one_a_line(written: Any) -> None:
    written.change("sis.yaml", "email: email", "emial: email")

    with pytest.raises(ConfigErrors) as caught:
        load(written.folder, written.state)

    assert len(caught.value.problems) == 2
    assert len(caught.value.message.splitlines()) == 2


def test_the_example_district_has_no_mistakes(tmp_path: Path) -> None:
    district, problems = check_folder(EXAMPLE, tmp_path)

    assert problems == []
    assert district is not None
    assert set(district.systems) == {"sis", "idp", "lms", "warehouse", "assessment"}


@pytest.mark.parametrize("name", sorted(path.name for path in (EXAMPLE / "examples").glob("*.yaml")))
def test_an_example_beside_the_district_has_no_mistakes_in_it(tmp_path: Path, name: str) -> None:
    config = tmp_path / "integrations"
    shutil.copytree(EXAMPLE, config)
    shutil.copy(config / "examples" / name, config)

    district, problems = check_folder(config, tmp_path)

    assert problems == []
    assert district is not None
    assert len(district.systems) == 6


def test_check_leaves_no_trace(written: Any) -> None:
    written.check()

    assert not written.state.exists()


def test_the_key_is_made_on_first_start_and_kept(written: Any) -> None:
    first = load(written.folder, written.state)
    again = load(written.folder, written.state)

    assert len(first.key) == 32
    assert first.key == again.key
    assert (written.state / "district.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in written.state.iterdir()] == ["district.key"]


def test_a_key_from_a_file_is_read_beside_the_configuration(written: Any) -> None:
    written.write("district_key", "0123456789abcdef0123\n")
    written.change("district.yaml", "name:", "key: ${file:district_key}\nname:")

    assert written.district().key == b"0123456789abcdef0123"


def test_the_digest_tells_a_changed_configuration_and_only_that(written: Any) -> None:
    before = load(written.folder, written.state).digest
    same = load(written.folder, written.state).digest
    written.change("warehouse.yaml", "rate: 10/s", "rate: 11/s")

    assert before == same
    assert before != load(written.folder, written.state).digest
