"""What of a mapping cannot be told as JSON, and tables that nothing goes to. Pure."""

from collections.abc import Iterator, Sequence

from adapters.http.bodies import Refused, body_of
from adapters.http.settings import Settings, Table
from bus.adapter import EntityShape, Misfit
from bus.messages import Value


def misfits(settings: Settings | None, shapes: Sequence[EntityShape]) -> Iterator[Misfit]:
    """Without settings nobody knows what goes along, so only the fields are looked at."""
    tables = settings.tables if settings else {}
    mapped = tuple(dict.fromkeys(shape.table for shape in shapes))
    for name in tables.keys() - {*mapped}:
        yield Misfit(("settings", "tables", name), f"no entity goes to {name}", name, mapped)
    for shape in shapes:
        yield from _in_the_way(shape, tables.get(shape.table, Table()))


def _in_the_way(shape: EntityShape, table: Table) -> Iterator[Misfit]:
    there: dict[str, Value] = {shape.id_field: ""}
    for name, _ in shape.fields:
        try:
            body_of({**there, name: ""}, table.body)
        except Refused as why:
            yield Misfit(("entities", shape.entity, "fields", name), str(why))
        else:
            there[name] = ""
