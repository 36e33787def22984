"""`yellowbus sample`: write the export of an invented district, today's or the next days'."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from pathlib import Path

import click

from . import manifest
from .sample_district import District, day_of
from .sample_rows import Cells, Roster, in_order
from .tables import TABLES, VERSIONS
from .writing import Sink, folder_at, zip_at

SYSTEM = "yellowbus sample"


@click.command()
@click.option("--students", default=300, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option(
    "--seed", default=1, show_default=True, type=click.IntRange(0), help="Another one, another district."
)
@click.option("--day", default=1, show_default=True, type=click.IntRange(1, 300), help="Of the school year.")
@click.option("--version", "version", default="1.1", show_default=True, type=click.Choice(VERSIONS))
@click.option("--format", "form", default="zip", show_default=True, type=click.Choice(["zip", "csv"]))
@click.option("--delta", is_flag=True, help="Only what is new since the day before.")
@click.option("--guardians", is_flag=True, help="Guardians too.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def sample(
    students: int, seed: int, day: int, version: str, form: str, delta: bool, guardians: bool, folder: Path
) -> None:
    """Write the OneRoster export of an invented district into DIR.

    The same arguments write the same bytes. Day 2 is day 1 with some edits, arrivals, departures and moves.
    """
    if delta and day == 1:
        raise click.UsageError("--delta: there is nothing before day 1. Use --day 2 or later.")
    district = District(students, seed)
    rosters = [
        Roster(district, d, version, guardians=guardians) for d in ([day - 1, day] if delta else [day])
    ]
    path = folder / f"oneroster-day{day:03d}{'-delta' if delta else ''}{'.zip' if form == 'zip' else ''}"
    at_ms = round(datetime.combine(day_of(day), time(3), UTC).timestamp() * 1000)
    large = students > 100_000
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if form == "csv" and path.exists():
            raise click.UsageError(f"{path} is there already. Remove it, or write into another folder.")
        with zip_at(path, at_ms, large=large) if form == "zip" else folder_at(path) as sink:
            counts = _write(sink, version, rosters, at_ms)
    except OSError as error:
        what = f"{folder}: cannot be made or written: {error.strerror}. Name a folder that you may write to."
        raise click.ClickException(what) from None
    click.echo(f"{path}: " + ", ".join(f"{rows} {table}" for table, rows in counts.items()))


def _write(sink: Sink, version: str, rosters: list[Roster], at_ms: int) -> dict[str, int]:
    kind = manifest.BULK if len(rosters) == 1 else manifest.DELTA
    tables = [table for table in TABLES[version] if table in rosters[-1].tables]
    sink.add(manifest.FILE, manifest.rows_of(version, dict.fromkeys(tables, kind), system=SYSTEM))
    counts = {}
    for table in tables:
        rows = (
            rosters[0].rows(table) if kind == manifest.BULK else _news(rosters[0], rosters[1], table, at_ms)
        )
        counts[table] = sink.add(f"{table}.csv", _lines(version, table, rows))
    return counts


def _lines(version: str, table: str, rows: Iterable[Cells]) -> Iterator[list[str]]:
    yield list(TABLES[version][table].columns)
    for cells in rows:
        yield in_order(version, table, cells)


def _news(before: Roster, now: Roster, table: str, at_ms: int) -> Iterator[Cells]:
    """The rows of a delta: each person's of today against yesterday's."""
    date = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for number in range(now.staff()):
        yield from _changed(before.of_staff(table, number), now.of_staff(table, number), date)
    for number in range(now.students()):
        yield from _changed(before.of_student(table, number), now.of_student(table, number), date)


def _changed(before: Iterable[Cells], now: Iterable[Cells], date: str) -> Iterator[Cells]:
    old, new = ({cells["sourcedId"]: cells for cells in rows} for rows in (before, now))
    for id_, cells in new.items():
        if old.get(id_) != cells:
            yield {**cells, "status": "active", "dateLastModified": date}
    for id_, cells in old.items():
        if id_ not in new:
            yield {**cells, "status": "tobedeleted", "dateLastModified": date}
