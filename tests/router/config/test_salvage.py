"""Whatever stands in a file, `check` says what is wrong with it, and never breaks; all of it at once."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from router.config.documents import DistrictFile, SystemFile
from router.config.entity_documents import EntityFile
from router.config.salvage import salvage

FILES = ("district.yaml", "entities/student.yaml", "sis.yaml", "warehouse.yaml")
ODD: tuple[Any, ...] = (None, 5, "x y", [], {}, [5], {"a": 5}, {"a": None})
OUT = object()


def spots(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in inner:
        yield (*path, step)
        yield from spots(value, (*path, step))


def with_(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    data = copy.deepcopy(data)
    around = data
    for step in path[:-1]:
        around = around[step]
    if value is OUT:
        del around[path[-1]]
    else:
        around[path[-1]] = value
    return data


@pytest.mark.parametrize("file", FILES)
def test_an_odd_value_anywhere_is_a_mistake_or_none_and_never_breaks_the_check(
    written: Any, file: str
) -> None:
    data = yaml.safe_load((written.folder / file).read_text())

    for path in spots(data):
        for value in (OUT, *ODD):
            written.write(file, json.dumps(with_(data, path, value)))
            district, problems = written.check()
            assert (district is None) == bool(problems), (path, value)


BESIDE: dict[str, tuple[str, str, str, str, str, list[str]]] = {
    "a slip in a field, and a wrong owner": (
        "entities/student.yaml", "class: directory", "clas: directory", "owner: sis", "owner: siss",
        ["2:8", "4:15"],
    ),
    "a bad rate, and an unknown field": (
        "warehouse.yaml", "10/s", "fast", "mail: email", "mail: e_mail", ["5:9", "12:15"],
    ),
    "no adapter, and an unknown field": (
        "warehouse.yaml", "  adapter: sql\n", "", "mail: email", "mail: e_mail", ["3:3", "11:15"],
    ),
    "a slip in the name of a part, and below it": (
        "warehouse.yaml", "  entities:", "  entites:", "code: key", "code: kee", ["7:3", "13:15"],
    ),
    "a number for a column, and an unknown normalization": (
        "sis.yaml", "givenName: givenName", "givenName: 5", "[trim, lower]", "[trim, lwer]",
        ["11:20", "15:23"],
    ),
    "an unknown type, and a reference to nothing": (
        "entities/student.yaml", "type: date", "type: datte", "to: school", "to: scool", ["6:21", "8:33"],
    ),
    "a field that says nothing, and an unknown key": (
        "entities/student.yaml", "{type: list}", "", "class: sens", "clss: sens", ["6:27", "7:10"],
    ),
    "a name that cannot be, and an unknown field": (
        "warehouse.yaml", "warehouse", "ware.house", "mail: email", "mail: e_mail", ["1:9", "12:15"],
    ),
    "an entity without fields, and another with a slip": (
        "sis.yaml", "      fields:\n        name: name\n", "", "when: role", "wehn: rol",
        ["9:7", "9:13", "17:7"],
    ),
    "no time zone, and a bad limit": (
        "district.yaml", "timezone: America/New_York", "guards: {shrink_max: 5}", "Testville", "7",
        ["1:1", "1:7", "2:22"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("file", "a", "b", "c", "d", "places"), BESIDE.values(), ids=BESIDE.keys())
def test_a_mistake_in_the_shape_of_a_file_hides_no_other_one_in_it(
    written: Any, file: str, a: str, b: str, c: str, d: str, places: list[str]
) -> None:
    written.change(file, a, b)
    written.change(file, c, d)

    problems = written.problems()

    assert [problem.split(": ")[0] for problem in problems] == [f"{file}:{place}" for place in places]


def test_an_entity_whose_fields_nobody_can_read_makes_no_second_mistakes(written: Any) -> None:
    written.write("entities/student.yaml", "entity: student\nowner: sis\nfields: 5\n")

    (problem,) = written.problems()

    assert problem.startswith('entities/student.yaml:3:9: "fields": ')


def test_what_validates_is_kept_and_the_rest_left_out() -> None:
    said = {
        "system": "lms",
        "destination": {"adapter": "sql", "rate": "fast", "entities": {"a": {"fields": {"b": "c"}}}},
    }

    system = salvage(SystemFile, said)

    assert system and system.destination
    assert system.destination.rate == 0.0
    assert system.destination.entities["a"].fields == {"b": "c"}
    assert said["destination"] != {}


def test_a_choice_that_is_nearly_a_known_one_is_taken_for_it() -> None:
    entity = salvage(EntityFile, {"entity": "a", "owner": "sis", "fields": {"b": {"type": "referense"}}})

    assert entity and entity.fields["b"].type == "reference"


@pytest.mark.parametrize("data", [5, None, [], {"fields": {}}, {"entity": "a", "owner": "b"}])
def test_too_little_is_nothing(data: object) -> None:
    assert salvage(EntityFile, data) is None


def test_a_text_that_must_be_there_is_stood_in_for() -> None:
    assert salvage(DistrictFile, {"guards": {"dangling_max": "1%"}}) is not None
