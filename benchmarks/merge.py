"""Merging alone, on one core: full events of a student, unchanged and with one field changed in a tenth.

python -m benchmarks merge
"""

import gc
import time
from typing import Any, Final

from bus.messages import Event, Op, Record, Value
from router.core.merge import merge
from router.core.rules import EntityRule, FieldRule, Type

FIELDS: Final = 21
"""As many as the example's student has."""
EVENTS: Final = 20_000
ROUNDS: Final = 5
UNCHANGED_FLOOR: Final = 60_000
CHANGED_FLOOR: Final = 25_000

Row = dict[str, Any]


def run() -> list[Row]:
    """Measure; one row per figure."""
    unchanged, changed = _rate(FIELDS, 0), _rate(FIELDS, 10)
    return [
        _row("merge: nothing changed", unchanged, UNCHANGED_FLOOR, f"{FIELDS} fields"),
        _row("merge: a tenth changes a field", changed, CHANGED_FLOOR, f"{FIELDS} fields"),
        *[_row(f"merge: nothing changed, {n} fields", _rate(n, 0), 0, "") for n in (5, 20, 80)],
    ]


def _row(name: str, rate: float, floor: float, of: str) -> Row:
    return {"name": name, "value": rate, "unit": "events/s", "floor": floor, "below": rate < floor, "of": of}


def _rules(count: int) -> EntityRule:
    fields = {f"f{n}": FieldRule(name=f"f{n}", type=Type.TEXT, owner="sis") for n in range(count)}
    return EntityRule(name="student", owner="sis", fields=fields)


def _event(number: int, values: dict[str, Value], at_ms: int) -> Event:
    return Event(str(number), "sis", "student", Op.UPDATE, "1", values, True, at_ms)


def _rate(count: int, every: int) -> float:
    """Events a second, the best of some rounds. `every`: how many events have one field changed in one of
    them; 0: none.
    """
    rules = _rules(count)
    values: dict[str, Value] = {f"f{n}": f"value {n}" for n in range(count)}
    first = merge(None, _event(1, values, 1), "student/1", rules, 1).record
    assert first is not None
    events = []
    for number in range(EVENTS):
        said = {**values, "f1": f"edit {number}"} if every and number % every == 0 else dict(values)
        events.append(_event(number, said, 2 + number))
    return max(_once(first, events, rules) for _ in range(ROUNDS))


def _once(record: Record, events: list[Event], rules: EntityRule) -> float:
    gc.collect()
    gc.disable()  # as the router does while batches are made
    begun_s = time.perf_counter()
    for number, event in enumerate(events):
        merge(record, event, "student/1", rules, number)
    took_s = time.perf_counter() - begun_s
    gc.enable()
    return len(events) / took_s
