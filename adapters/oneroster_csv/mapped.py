"""What of a mapping the standard has: its tables, their columns, and which of these must be there. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from bus.adapter import EntityShape, Misfit

from . import cells
from .tables import METADATA, TABLES, VERSIONS

SWITCH: Final = "enabledUser"
"""The column that switches a record off."""


class Described(NamedTuple):
    """What may and must stand in a table, and its columns in the file."""

    allowed: frozenset[str]
    required: frozenset[str]
    header: tuple[str, ...]


def described(version: str, shapes: Sequence[EntityShape]) -> dict[str, Described]:
    """The tables of a version, with the columns of its own that a mapping adds."""
    mapped = {shape.table for shape in shapes}
    found = {}
    for name, table in TABLES[version].items():
        metadata = {
            field: None
            for shape in shapes
            if shape.table == name
            for field, _ in shape.fields
            if field.startswith(METADATA)
        }
        found[name] = Described(
            cells.columns(version, name) | {*metadata},
            cells.required(version, name, roles="roles" not in mapped),
            (*table.columns, *metadata),
        )
    return found


def misfits(version: str | None, shapes: Sequence[EntityShape]) -> Iterator[Misfit]:
    """Tables and columns that are not there, and those that are required and not mapped.

    `version` None: nobody knows which, so only what is wrong in all of them.
    """
    described_by = [described(one, shapes) for one in ([version] if version else VERSIONS)]
    for shape in shapes:
        at = ("entities", shape.entity)
        tables = [tables[shape.table] for tables in described_by if shape.table in tables]
        if not tables:
            known = tuple(dict.fromkeys(name for tables in described_by for name in tables))
            what = f"OneRoster {version}" if version else "OneRoster"
            yield Misfit((*at, "table"), f'"{shape.table}" is no table of {what}', shape.table, known)
            continue
        names = [name for name, _ in shape.fields]
        allowed = frozenset[str]().union(*(table.allowed for table in tables))
        required = tables[0].required.intersection(*(table.required for table in tables))
        if shape.switches_off and SWITCH not in allowed:
            text = f"{shape.table} has no {SWITCH}: its records cannot be switched off (expected delete)"
            yield Misfit((*at, "on_delete"), text)
        for name in names:
            if name not in allowed:
                text = f'"{name}" is no column of {shape.table}'
                yield Misfit((*at, "fields", name), text, name, tuple(sorted(allowed - {*names})))
        for name in sorted(required - {*names, "sourcedId"}):
            yield Misfit((*at, "fields"), f'"{name}" is missing: {shape.table} requires it', name)
