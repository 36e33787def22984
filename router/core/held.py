"""What a system has of a field, as far as the hub knows: what it last said, and what it was given since.

A system that is told of a record may take a while to take it up: until it says something else than before,
what it was given is pending, and what it repeats is no news.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bus.messages import EXISTENCE, Fields, Record, Seen, Value
from router.core.authority import NO_SPANS, Spans
from router.core.rules import EntityRule

PENDING_MAX: Final = 8
UNDER_WAY_MS: Final = 300_000
"""How long a look at a system, and a write to it, may take: a write that ends so soon after a look began may
have come before what was seen.
"""

Given = Mapping[str, Sequence[tuple[int, Value]]]
"""By field what a system was given: (when, the record's value), oldest first."""

NOTHING_GIVEN: Final[Given] = {}
IN_FLIGHT_MS: Final = 1 << 53
"""When a system was given what is on its way to it: it may have that, and may not."""


class Told(NamedTuple):
    """What surrounds an event: what its system was given, the spans that owners depend on; whether it comes
    under an alias.
    """

    given: Given = NOTHING_GIVEN
    spans: Spans = NO_SPANS
    alias: bool = False


NOTHING_TOLD: Final = Told()


class _Unknown(NamedTuple):
    """Stands for a value that nobody knows; equals none."""


UNKNOWN: Final = _Unknown()


def since_of(seen: Seen | None, name: str) -> int:
    """When what a system says of a field became what it is; -1 if it never spoke of it."""
    if seen is None or name not in seen.names:
        return -1
    return seen.since.get(name, seen.since.get(EXISTENCE, seen.at_ms))


def pending(given: Given, seen: Seen | None, name: str) -> list[tuple[int, Value]]:
    """What a system was given of a field since it last changed what it says of it, oldest first."""
    entries = given.get(name)
    if not entries:
        return []
    since_ms = since_of(seen, name)
    return [entry for entry in entries if entry[0] > since_ms]


def in_hand(
    given: Given, seen: Seen | None, name: str, at_ms: int, lag_s: float | None, skew_ms: int = 0
) -> list[tuple[int, Value]]:
    """What of it a system may say at that time, though nobody typed it there. One that takes up at once
    (`lag_s` None) has the last that it was given by then; `skew_ms`: how wrong the clock may be by which its
    news is dated. One that is late may say any of what it was given within its delay and has not taken up,
    also over what it said meanwhile.
    """
    if lag_s is not None:
        after_ms = max(at_ms - int(lag_s * 1000), _took(seen, name))
        return [entry for entry in given.get(name, ()) if entry[0] > after_ms]
    after_ms = since_of(seen, name) - skew_ms  # by its clock it may have come after what it said then
    entries = [entry for entry in given.get(name, ()) if entry[0] > after_ms]
    there = sum(given_ms <= at_ms - skew_ms for given_ms, _ in entries)
    return entries[max(there - 1, 0) :]


def together(
    entries: Sequence[Sequence[tuple[int, Value]]], said: tuple[Value, ...]
) -> list[tuple[int, tuple[Value, ...]]]:
    """What a system was given of fields that move together, by the entries of each; `said`: what it says.

    A field that is listed from a later time on only was then as the system said, or already as listed.

    >>> together([[(1, "a"), (5, "b")], [(5, "d")]], ("-", "c"))
    [(1, ('a', 'c')), (1, ('a', 'd')), (5, ('b', 'd'))]
    """
    if len(entries) == 1:
        return [(at_ms, (value,)) for at_ms, value in entries[0]]
    listed = tuple([each[0][1] if each else now for each, now in zip(entries, said, strict=True)])
    found: dict[tuple[int, tuple[Value, ...]], None] = {}
    for at_ms in sorted({at_ms for each in entries for at_ms, _ in each}):
        for before in (said, listed):
            values = [
                next((value for given_ms, value in reversed(each) if given_ms <= at_ms), then)
                for each, then in zip(entries, before, strict=True)
            ]
            found[at_ms, tuple(values)] = None
    return list(found)


def _took(seen: Seen | None, name: str) -> int:
    return seen.took.get(name, -1) if seen is not None else -1


def known(record: Record, system: str, given: Given, name: str) -> Value | _Unknown:
    """The value that a system has of a field: what it was given last, or what it says."""
    seen = record.seen.get(system)
    if entries := pending(given, seen, name):
        return entries[-1][1]
    if seen is None or name not in seen.names:
        return UNKNOWN
    return seen.said.get(name, record.values.get(name))


def not_taken_up(record: Record, system: str, given: Given, rules: EntityRule) -> dict[str, int]:
    """The fields of which a system says something else than it was given, and since when (when it was given
    the first that it has not taken up). Of a field that it never speaks of nobody can tell.
    """
    seen, normal = record.seen.get(system), rules.normal.get(system, {})
    found: dict[str, int] = {}
    for name in given:
        entries = pending(given, seen, name)
        if seen is None or name not in seen.names or not entries:
            continue
        says, last = seen.said.get(name, record.values.get(name)), entries[-1][1]
        same = says == last or (name in normal and last is not None and normal[name](last) == says)
        if not same:
            found[name] = entries[0][0]
    return found


def has(record: Record, system: str, given: Given, name: str, skew_ms: int = 0) -> bool:
    """Has a system the record's value for certain? Not if it was given one at about the time at which it
    said another: nobody knows which came last. `skew_ms` as in `in_hand`.
    """
    value, seen = record.values.get(name), record.seen.get(system)
    says = UNKNOWN if seen is None or name not in seen.names else seen.said.get(name, value)
    if not (entries := given.get(name)):
        return says == value
    since_ms, (given_ms, last) = since_of(seen, name), entries[-1]
    if since_ms == _took(seen, name):  # a late one, that has taken up what it was given so far
        return last == value
    if -skew_ms < given_ms - since_ms <= UNDER_WAY_MS + skew_ms:
        return says == value == last
    return (last if given_ms > since_ms else says) == value


def handed(given: Given, seen: Seen | None, values: Fields, at_ms: int) -> dict[str, list[tuple[int, Value]]]:
    """What a system was given, now that it has been given these values too; what it took up is forgotten.

    Of a value that is given over and over, the first time and the last are kept: it may have said something
    else in between, and what a late one has in its folder may be the last.
    """
    found: dict[str, list[tuple[int, Value]]] = {}
    for name, value in values.items():
        took_ms = _took(seen, name)
        entries = [entry for entry in given.get(name, ()) if entry[0] > took_ms]
        if [entry[1] for entry in entries[-2:]] == [value, value]:
            entries.pop()
        found[name] = [*entries, (at_ms, value)][-PENDING_MAX:]
    return found
