"""From a delimited file to a database, to a full file and to files of changes, by the router as a process."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from real_nats import NatsServer
from running import Place, Router, check_conservation, run_command, streams, until

DISTRICT = 'name: Files\ntimezone: America/Chicago\nnats: {{url: "{nats}"}}\nguards: {{first_read: flow}}\n'
STUDENT = """\
entity: student
owner: library
fields:
  name: {}
  born: {type: date}
  active: {type: boolean}
  mean: {type: number}
  clubs: {type: list}
"""
LIBRARY = """\
system: library
source:
  adapter: delimited
  settings:
    folder: ${state}/library
    file: "{table}_{date:%d%m%y}.txt"
    settle: 0.2
    poll: 0.1
    delimiter: ";"
    encoding: cp1252
    booleans: [ja, nein]
    decimal: ","
    list_separator: "|"
    tables: {pupils: {aliases: {"Pupil No.": no}}}
  entities:
    student:
      table: pupils
      id: "no"
      fields: {name: name, born: born, active: active, mean: mean, clubs: clubs}
      normalize: {born: "%d.%m.%Y"}
"""
FIELDS = "fields: {name: name, born: born, active: active, mean: mean, clubs: clubs}"
WAREHOUSE = f"""\
system: warehouse
destination:
  adapter: sql
  mode: live
  settings: {{url: "sqlite:///${{state}}/warehouse.db"}}
  entities: {{student: {{table: students, {FIELDS}}}}}
"""
BUSES = f"""\
system: buses
destination:
  adapter: delimited
  mode: live
  settings:
    folder: ${{state}}/buses
    delimiter: tab
    encoding: utf-16
    booleans: [Y, N]
    dates: "%m/%d/%Y"
  entities: {{student: {{table: riders, id: rider, {FIELDS}}}}}
"""
MEALS = f"""\
system: meals
destination:
  adapter: delimited
  mode: live
  settings:
    folder: ${{state}}/meals
    file: "{{table}}-{{seq}}.csv"
    kind: changes
    operation: {{column: op, create: A, update: U, delete: D}}
  entities: {{student: {{table: eaters, id: no, {FIELDS}}}}}
"""
HEADER = "Pupil No.;Name;born;active;mean;clubs\r\n"
NAMES = [f"Zoë {n}" for n in range(30)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    config, state, nats = tmp_path / "integrations", tmp_path / "state", tmp_path / "nats"
    for folder in (config / "entities", state / "library", state / "buses", state / "meals", nats):
        folder.mkdir(parents=True)
    with NatsServer(nats, sync="always") as server:
        (config / "district.yaml").write_text(DISTRICT.format(nats=server.address.url))
        (config / "entities" / "student.yaml").write_text(STUDENT)
        systems = {"library": LIBRARY, "warehouse": WAREHOUSE, "buses": BUSES, "meals": MEALS}
        for name, text in systems.items():
            (config / f"{name}.yaml").write_text(text)
        yield Place(config, state, server.address.url)


def export(place: Place, day: int, names: dict[int, str]) -> Path:
    """The library's export of a day."""
    rows = "".join(f'{n};"{name}";28.02.2011;ja;1,5;chess|"art, modern"\r\n' for n, name in names.items())
    path = place.state / "library" / f"pupils_{day:02d}1126.txt"
    path.write_bytes((HEADER + rows.replace('"art, modern"', "art, modern")).encode("cp1252"))
    return path


def stored(place: Place) -> dict[str, tuple[object, ...]]:
    """What the warehouse has."""
    path = place.state / "warehouse.db"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as warehouse:
        try:
            rows = warehouse.execute(
                "select id, name, born, active, mean, clubs from students where deleted_at is null"
            ).fetchall()
        except sqlite3.OperationalError:  # its table is not made yet
            return {}
    return {id_: tuple(cells) for id_, *cells in rows}


def riders(place: Place) -> dict[str, list[str]]:
    """What stands in the full file."""
    path = place.state / "buses" / "riders.csv"
    if not path.exists():
        return {}
    found = list(csv.reader(path.read_bytes().decode("utf-16").splitlines(), delimiter="\t"))
    return {cells[0]: cells[1:] for cells in found[1:]}


def eaters(place: Place) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Names of those who are left once all files of changes were taken, and every change in order."""
    left: dict[str, str] = {}
    changes = []
    for path in sorted((place.state / "meals").glob("eaters-*.csv")):
        for row in csv.DictReader(path.read_text().splitlines()):
            changes.append((row["op"], row["no"], row["name"]))
            left[row["no"]] = row["name"]
            if row["op"] == "D":
                del left[row["no"]]
    return left, changes


def arrived(place: Place, names: dict[int, str]) -> bool:
    expected = {str(n): name for n, name in names.items()}
    found = [
        {id_: str(cells[0]) for id_, cells in stored(place).items()},
        {id_: cells[0] for id_, cells in riders(place).items()},
        eaters(place)[0],
    ]
    return found == [expected] * 3


async def test_a_delimited_file_arrives_in_a_database_and_in_files_of_both_kinds(place: Place) -> None:
    first = dict(enumerate(NAMES))
    second = {**first, 1: "Ash", 99: "Elm, the\u2019s"}
    del second[2]

    with Router(place) as router:
        await router.start()
        export(place, 24, first)
        await until(lambda: arrived(place, first))
        export(place, 25, second)
        await until(lambda: arrived(place, second))
        found = await streams(place)

    check_conservation(found)
    assert stored(place)["1"] == ("Ash", "2011-02-28", 1, 1.5, '["chess", "art, modern"]')
    assert riders(place)["1"] == ["Ash", "02/28/2011", "Y", "1.5", 'chess,"art, modern"']
    changes = eaters(place)[1]
    assert sorted(changes[:30]) == sorted(("A", str(n), name) for n, name in first.items())
    assert sorted(changes[30:]) == [("A", "99", "Elm, the\u2019s"), ("D", "2", "Zoë 2"), ("U", "1", "Ash")]
    done = sorted(path.name for path in (place.state / "library" / "done").iterdir())
    assert done == ["pupils_241126.txt", "pupils_251126.txt"]


async def test_killed_at_any_time_no_change_stands_in_two_files(place: Place) -> None:
    names = dict(enumerate(NAMES))
    with Router(place) as router:
        await router.start()
        export(place, 1, names)
        await until(lambda: bool(eaters(place)[1]))
        router.kill()
        await router.start()
        await until(lambda: arrived(place, names))
        for day in range(2, 4):
            names = {**names, day: f"day {day}", 100 + day: "new"}
            export(place, day, names)
            await until(lambda day=day: any(name == f"day {day}" for _, _, name in eaters(place)[1]))
            router.kill()
            await router.start()
            await until(lambda names=names: arrived(place, names))

    changes = eaters(place)[1]
    expected = [("A", str(n), name) for n, name in enumerate(NAMES)]
    for day in range(2, 4):
        expected += [("A", str(100 + day), "new"), ("U", str(day), f"day {day}")]
    assert sorted(changes) == sorted(expected)


async def compared(place: Place, system: str, *arguments: str) -> Result:
    asked = ("compare", system, *arguments, "--server", place.nats_url, "--output", "json")
    return await run_command(place, *asked)


async def test_a_full_file_can_be_compared_and_put_right_and_files_of_changes_cannot(place: Place) -> None:
    names = dict(enumerate(NAMES))
    with Router(place) as router:
        await router.start()
        export(place, 1, names)
        await until(lambda: arrived(place, names))
        same = await compared(place, "buses")
        path = place.state / "buses" / "riders.csv"
        text = path.read_bytes().decode("utf-16")
        path.write_bytes(text.replace("Zoë 4", "Zoë four").encode("utf-16"))
        found = await compared(place, "buses")
        repaired = await compared(place, "buses", "--repair", "--why", "somebody edited it by hand")
        changes = await compared(place, "meals")

    assert json.loads(same.stdout)["report"]["compared"] == [["student", "same", 30]], same.output
    assert json.loads(found.stdout)["report"]["fields"] == {"student": {"name": 1}}
    assert json.loads(repaired.stdout)["outcomes"] == {"delivered": 1}
    assert riders(place)["4"][0] == "Zoë 4"
    assert changes.exit_code == 1 and "cannot list what it has" in changes.output


async def test_what_is_not_sound_is_refused_with_its_place_and_nothing_moves(place: Place) -> None:
    names = dict(enumerate(NAMES))
    folder = place.state / "library"
    unsound = {
        "pupils_251126.txt": (b"\xef\xbb\xbf" + HEADER.encode(), "pupils_251126.txt:1:1: the mark of utf-8"),
        "pupils_261126.txt": (HEADER.encode(), "the last good read had 30"),
        "pupils_271126.txt": (HEADER.encode() + b"1;Zo", "pupils_271126.txt:2:3: 2 cells (expected 6)"),
    }

    with Router(place) as router:
        await router.start()
        export(place, 24, names)
        await until(lambda: arrived(place, names))
        for name, (content, why) in unsound.items():
            (folder / name).write_bytes(content)
            await until(lambda name=name: (folder / "refused" / name).exists())
            assert why in (folder / "refused" / f"{name}.report.txt").read_text()

    assert arrived(place, names)


async def test_a_row_without_an_id_is_set_aside_and_the_others_arrive(place: Place) -> None:
    names = dict(enumerate(NAMES))
    path = export(place, 24, names)
    with path.open("ab") as file:
        file.write(b";Nobody;28.02.2011;ja;1,5;\r\n")

    with Router(place) as router:
        await router.start()
        await until(lambda: arrived(place, names))

    assert (place.state / "library" / "done" / path.name).exists()
