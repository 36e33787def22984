"""A whole router for tests: the example district on a folder of its own, as a process that can be killed."""

import asyncio
import csv
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from click.testing import CliRunner, Result

from adapters.oneroster_csv.sample import sample
from bus.codec import decode_audit
from bus.connection import Address
from bus.embedded import address_in
from bus.errors import Unavailable
from bus.jetstream import JetStream
from bus.messages import AuditRecord, Step
from console.cli import flow, main
from console.cli.flow import Flow
from console.client import Client, Where, client
from router.daemon import Signals, serve_forever

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"

FAST = {
    "sis.yaml": [("settle: 60 ", "settle: 60\n    poll: 0.1 "), ("linger: 2s", "linger: 200ms")],
    "assessment.yaml": [("linger: 2s", "linger: 200ms")],
}
"""The example's pace is for people."""


class Place(NamedTuple):
    """Where a router of a test has its configuration and its state, and where its bus is."""

    config: Path
    state: Path
    nats_url: str = ""

    @property
    def where(self) -> Where:
        return Where(server=self.nats_url, state=self.state)

    @property
    def address(self) -> Address:
        return Address(url=self.nats_url) if self.nats_url else address_in(self.state / "nats")

    @property
    def arguments(self) -> list[str]:
        return ["--config", str(self.config), "--state", str(self.state)]


def copy_example(folder: Path) -> Path:
    """The example district's configuration in a folder, at a pace for tests."""
    config = folder / "integrations"
    shutil.copytree(REPOSITORY / "integrations", config)
    for name, edits in FAST.items():
        text = (config / name).read_text()
        for old, new in edits:
            assert old in text, (name, old)
            text = text.replace(old, new)
        (config / name).write_text(text)
    return config


def one_source(config: Path) -> None:
    """Leave out what a process of its own would have to be there for: the SIS alone tells, files are told."""
    for name in ("idp", "lms"):
        (config / f"{name}.yaml").unlink()
    sis = config / "sis.yaml"
    sis.write_text(sis.read_text().partition("\ndestination:")[0] + "\n")
    for path in (config / "entities").glob("*.yaml"):
        lines = path.read_text().splitlines()
        path.write_text("".join(f"{_unowned(line)}\n" for line in lines))


def _unowned(line: str) -> str:
    """A field's line without its owner: then it is the entity's."""
    if not line.startswith("  ") or "owner: " not in line:
        return line
    ((name, field),) = yaml.safe_load(line).items()
    del field["owner"]
    return f"  {name}: {yaml.safe_dump(field, default_flow_style=True, width=1_000).strip()}"


def lay_out(folder: Path, *, nats_url: str = "") -> Place:
    """The example district without identity provider and LMS, at a pace for tests."""
    config, state = copy_example(folder), folder / "state"
    one_source(config)
    if nats_url:
        with (config / "district.yaml").open("a") as file:
            file.write(f'\nnats: {{url: "{nats_url}"}}\n')
    for name in ("sis", "assessment"):
        (state / name).mkdir(parents=True)
    return Place(config, state, nats_url)


def shared(name: str) -> Path:
    """A district that we did not make. Skips the test where it is not there."""
    path = SHARED / f"district-{name}.zip"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this clone (expected in ../shared/data)")
    return path


def sampled(folder: Path, *, students: int = 40, day: int = 1) -> Path:
    """A district of our own generator."""
    arguments = ["--students", f"{students}", "--seed", "1", "--day", f"{day}", str(folder)]
    assert CliRunner().invoke(sample, arguments).exit_code == 0
    return folder / f"oneroster-day{day:03d}.zip"


def drop(place: Place, package: Path) -> None:
    """Put a package before the source: whole, and said to be whole."""
    folder = place.state / "sis"
    part = folder / f"{package.name}.part"
    shutil.copyfile(package, part)
    (folder / f"{package.name}.ready").touch()
    part.rename(folder / package.name)


@asynccontextmanager
async def router_here(place: Place) -> AsyncIterator[None]:
    """The daemon in this process, its bus without syncing, for speed."""
    signals, ready = Signals(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(
            serve_forever(
                place.config, place.state, signals, synced=False, ready=lambda bus, pipeline: ready.set()
            )
        )
        await ready.wait()
        try:
            yield
        finally:
            signals.stop.set()


# -- the process


def command(place: Place) -> list[str]:
    """What starts a router."""
    return [sys.executable, "-m", "console.cli", "router", *place.arguments]


def refused(place: Place) -> "subprocess.CompletedProcess[str]":
    """A router that is expected to end by itself."""
    return subprocess.run(command(place), capture_output=True, text=True, timeout=30)


class Router:
    """`yellowbus router`, from ready to its end."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.log = place.state.parent / "router.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Router":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    async def start(self) -> None:
        """Returns when it answers."""
        self._process = self._started()
        await self.answers()

    async def answers(self) -> None:
        """Wait until it does."""
        assert self._process is not None
        async with asyncio.timeout(30):
            while True:
                assert self._process.poll() is None, self.log.read_text()
                try:
                    async with client(self.place.where) as bus:
                        await bus.ask("status")
                        return
                except Unavailable:
                    await asyncio.sleep(0.05)

    def _started(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(command(self.place), stdout=log, stderr=log)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: nothing of it is brought to an end. Its nats-server ends with it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> tuple[int, float]:
        """SIGTERM: its exit code, and the seconds that it took."""
        assert self._process is not None
        begun_s = time.monotonic()
        self._process.terminate()
        try:
            return self._process.wait(30), time.monotonic() - begun_s
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def ended(self) -> int:
        """Wait until it ends by itself: its exit code."""
        assert self._process is not None
        return self._process.wait(30)

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The log's entries with this message."""
        entries = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [entry for entry in entries if entry["message"] == message]


def typed(place: Place, *arguments: str, answers: str = "") -> Result:
    """A command of a person at this place; `answers` are typed when it asks."""
    return CliRunner().invoke(main, [*arguments, "--state", str(place.state)], input=answers)


async def run_command(place: Place, *arguments: str, answers: str = "") -> Result:
    return await asyncio.to_thread(lambda: typed(place, *arguments, answers=answers))


async def last_read(bus: Client) -> int:
    """The number of the newest read; 0 if there is none."""
    read = (await bus.ask("status"))["sources"]["sis"]["last_read"]
    return int(read["number"]) if read else 0


async def flowed(bus: Client, after_read: int, *, within_s: float = 60.0) -> Flow:
    """Wait until a read after that one has arrived everywhere."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                found = await flow.look(bus, "sis", after_read, 0)
                if found.done:
                    return found
            except Unavailable:
                pass
            await asyncio.sleep(0.05)


async def through(place: Place, package: Path) -> Flow:
    """Put a package before the router that runs, and wait until all of it has arrived."""
    async with client(place.where) as bus:
        after = await last_read(bus)
        drop(place, package)
        return await flowed(bus, after)


async def until(true: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


# -- what is on the streams


class Streams(NamedTuple):
    """How far each stream is, and all of AUDIT's movements."""

    events: int
    changes: int
    settled: list[AuditRecord]
    delivered: list[AuditRecord]


async def streams(place: Place) -> Streams:
    """Look into the streams of a router that runs."""
    async with JetStream.connect(place.address) as bus:
        records: list[AuditRecord] = []
        async for page in bus.read("AUDIT"):
            for stored in page:
                records += decode_audit(stored.body)
        return Streams(
            (await bus.info("EVENTS")).last_seq,
            (await bus.info("CHANGES")).last_seq,
            [record for record in records if record.step is Step.EVENT],
            [record for record in records if record.step is Step.DELIVERY],
        )


def check_conservation(found: Streams) -> None:
    """Every event is settled once; at each destination a record's settled ranges follow on another."""
    assert sorted(record.seq for record in found.settled) == list(range(1, found.events + 1))
    ranges: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for record in found.delivered:
        ranges[record.destination, record.key].append((record.rev_from, record.rev))
    for name, parts in ranges.items():
        ends = [0, *(last for _, last in parts)]
        assert [first for first, _ in parts] == [last + 1 for last in ends[:-1]], name


# -- what is at the destinations

WAREHOUSE = {
    "orgs": ("orgs", {"name": "name", "type": "type", "parent": "parentSourcedId"}),
    "terms": ("academicSessions", {"title": "title", "startDate": "startDate", "endDate": "endDate"}),
    "classes": ("classes", {"title": "title", "course": "courseSourcedId", "school": "schoolSourcedId"}),
    "enrollments": (
        "enrollments",
        {"user": "userSourcedId", "class": "classSourcedId", "role": "role", "beginDate": "beginDate"},
    ),
}
PEOPLE = {"username": "username", "givenName": "givenName", "familyName": "familyName", "email": "email"}


def check_destinations(place: Place, package: Path) -> None:
    """The warehouse's tables, and the newest assessment zip, say what the package says."""
    with sqlite3.connect(place.state / "warehouse.db") as warehouse:
        for table, (file, columns) in WAREHOUSE.items():
            assert _stored(warehouse, [table], columns) == _said(package, file, columns), table
        people = ["students", "staff", "guardians"]
        assert _stored(warehouse, people, PEOPLE) == _said(package, "users", PEOPLE)
    warehouse.close()
    newest = max((place.state / "assessment").glob("*.zip"))
    for file, columns in (*WAREHOUSE.values(), ("users", PEOPLE)):
        assert _said(newest, file, columns) == _said(package, file, columns), file


def _said(package: Path, file: str, columns: dict[str, str]) -> dict[str, tuple[str, ...]]:
    with zipfile.ZipFile(package) as archive:
        text = archive.read(f"{file}.csv").decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return {row["sourcedId"]: tuple(row[column] for column in columns.values()) for row in rows}


def _stored(
    warehouse: sqlite3.Connection, tables: list[str], columns: dict[str, str]
) -> dict[str, tuple[str, ...]]:
    names = ", ".join(f'"{name}"' for name in columns)
    found = {}
    for table in tables:
        for id_, *values in warehouse.execute(f"SELECT id, {names} FROM {table} WHERE deleted_at IS NULL"):
            found[id_] = tuple(str(value or "") for value in values)
    return found


def rows_of_index(index: Path, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of these tables of an index; of `record` without the index's own row ids."""
    connection = sqlite3.connect(index)
    try:
        return {
            table: sorted(
                (
                    row[1:] if table == "record" else row
                    for row in connection.execute(f"SELECT * FROM {table}")
                ),
                key=repr,
            )
            for table in tables
        }
    finally:
        connection.close()
