"""When the terms of a record begin and end: what `owner: {during: class.terms}` depends on."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bus.messages import Record, Value
from router.core.authority import NO_SPANS, Spans
from router.core.rules import EntityRule

BEGIN: Final = "startDate"
END: Final = "endDate"
"""A term's fields, as OneRoster names them (academicSessions); the end date is its last day."""

Look = Callable[[Iterable[str]], Mapping[str, Record]]
"""Records by key, those of the batch at hand included."""


class Spanning:
    """Follows the paths of an entity's owners from a record to what begins and ends."""

    def __init__(self, entities: Mapping[str, EntityRule], zone: ZoneInfo) -> None:
        self._zone = zone
        self._paths = {
            name: tuple(
                dict.fromkeys(
                    period.during
                    for periods in (rule.owners, *(field.owners for field in rule.fields.values()))
                    for period in periods
                    if period.during
                )
            )
            for name, rule in entities.items()
        }

        self._named_by: dict[str, set[str]] = {}
        self._dependents: dict[str, set[str]] = {}
        for name, paths in self._paths.items():
            for path in paths:
                self._walk(entities, name, path.split("."))

    def _walk(self, entities: Mapping[str, EntityRule], dependent: str, path: list[str]) -> None:
        """Note what each entity on a path has to do with it, the first one apart."""
        there = {dependent}
        for number, step in enumerate(path):
            rules = [entities[name] for name in there if name in entities]
            there = {to for rule in rules if step in rule.fields for to in rule.fields[step].to}
            names = (BEGIN, END) if number + 1 == len(path) else (path[number + 1],)
            for name in there:
                self._named_by.setdefault(name, set()).update(names)
                self._dependents.setdefault(name, set()).add(dependent)

    def moves(self, before: Record, after: Record) -> bool:
        """Has a record changed in what others' dates depend on?"""
        names = self._named_by.get(after.entity)
        if names is None:
            return False
        return before.deleted != after.deleted or any(
            before.values.get(name) != after.values.get(name) for name in names
        )

    def dependents(self, entity: str) -> tuple[str, ...]:
        """The entities whose records' dates may depend on records of this one."""
        return tuple(sorted(self._dependents.get(entity, ())))

    def depends(self, record: Record, key: str, look: Look) -> bool:
        """Do a record's dates depend on that one?"""
        paths = self._paths.get(record.entity, ())
        return any(self._leads(path.split("."), record.values, key, look) for path in paths)

    def _leads(self, path: list[str], values: Mapping[str, Value], key: str, look: Look) -> bool:
        keys = _keys(values.get(path[0]))
        if key in keys or len(path) == 1:
            return key in keys
        return any(self._leads(path[1:], each.values, key, look) for each in look(keys).values())

    def of(self, entity: str, values: Mapping[str, Value], look: Look) -> Spans:
        """By path the spans that a record with these values has; times are instants, days the district's."""
        paths = self._paths.get(entity)
        if not paths:
            return NO_SPANS
        return {path: tuple(self._follow(path.split("."), values, look)) for path in paths}

    def _follow(self, path: list[str], values: Mapping[str, Value], look: Look) -> Iterable[tuple[int, int]]:
        found = look(_keys(values.get(path[0]))).values()
        for record in found:
            if len(path) > 1:
                yield from self._follow(path[1:], record.values, look)
            elif span := self._span(record):
                yield span

    def _span(self, record: Record) -> tuple[int, int] | None:
        begin, end = record.values.get(BEGIN), record.values.get(END)
        if not isinstance(begin, str) or not isinstance(end, str):
            return None
        return self._midnight(begin), self._midnight(end, days=1)

    def _midnight(self, day: str, days: int = 0) -> int:
        """Local midnight, as the zone has it that day: a day may have 23 or 25 hours."""
        at = date.fromisoformat(day) + timedelta(days=days)
        return int(datetime(at.year, at.month, at.day, tzinfo=self._zone).timestamp() * 1000)


def _keys(value: Value) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, str) else ()
