"""Who may decide a field, when: owners in order of priority, dated, or for as long as a term lasts."""

from collections.abc import Iterable, Mapping
from typing import Final

from router.core.rules import EntityRule, FieldRule, Period

Spans = Mapping[str, tuple[tuple[int, int], ...]]
"""By path (`class.terms`): when the records that it leads to begin and end, [begin_ms, end_ms)."""

NO_SPANS: Final[Spans] = {}


def owners_at(rule: FieldRule | EntityRule, at_ms: int, spans: Spans = NO_SPANS) -> tuple[str, ...]:
    """The systems with authority at that time, the highest first. Empty: nobody, the field does not move.

    >>> from router.core.rules import Type
    >>> lms, sis = Period(systems=("lms",), until_ms=10), Period(systems=("sis",))
    >>> rule = FieldRule(name="state", type=Type.TEXT, owner="", owners=(lms, sis))
    >>> owners_at(rule, 9), owners_at(rule, 10)
    (('lms',), ('sis',))
    """
    if rule.owner:
        return (rule.owner,)
    for period in rule.owners:
        if _holds(period, at_ms, spans):
            return period.systems
    return ()


def _holds(period: Period, at_ms: int, spans: Spans) -> bool:
    if period.from_ms is not None and at_ms < period.from_ms:
        return False
    if period.until_ms is not None and at_ms >= period.until_ms:
        return False
    if period.during:
        return any(begin <= at_ms < end for begin, end in spans.get(period.during, ()))
    return True


def next_instant(rules: EntityRule, after_ms: int, spans: Spans = NO_SPANS) -> int | None:
    """The next time at which an owner may be another one, or None."""
    found: set[int] = set()
    periods = [*rules.owners, *(period for rule in rules.fields.values() for period in rule.owners)]
    for period in periods:
        found.update(each for each in _bounds(period, spans) if each > after_ms)
    return min(found, default=None)


def _bounds(period: Period, spans: Spans) -> Iterable[int]:
    if period.from_ms is not None:
        yield period.from_ms
    if period.until_ms is not None:
        yield period.until_ms
    for begin, end in spans.get(period.during, ()):
        yield begin
        yield end


def wins(
    rule: FieldRule | EntityRule,
    *,
    system: str,
    at_ms: int,
    other: str,
    other_ms: int,
    spans: Spans = NO_SPANS,
) -> tuple[str, str]:
    """Of two systems that changed the same thing: (the one that is right, the rule that says so).

    Nobody ('' ) where a person is asked. Whoever has authority alone is right; where both have it, `ties`
    decides; where none has, the value that stands does.
    """
    owners = owners_at(rule, max(at_ms, other_ms), spans)
    if system not in owners:
        return other, "owner"
    if other not in owners:
        return system, "owner"
    if rule.ties == "ask":
        return "", "ask"
    higher = system if owners.index(system) < owners.index(other) else other
    if rule.ties == "latest" and at_ms != other_ms:
        return (system if at_ms > other_ms else other), "latest"
    return higher, rule.ties
