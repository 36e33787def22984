"""The first contact with a system: what its records and ours have to do with each other, line by line.

A line has names of records and fields, never a value. Pure.
"""

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgpack

from bus.messages import Record
from router.core.held import UNKNOWN, Given, known
from router.core.identity import match_rules, match_texts
from router.core.rules import EntityRule

HASH_BYTES: Final = 8
MADE: Final = "made by us"
BY_ID: Final = "our id there, or a person"


class What(StrEnum):
    """What one line says."""

    LINKED = "linked"  # there and here
    CREATE = "create"  # here, and would be made there
    WAITS = "waits"  # here, and something there that matches nothing yet may be it
    AMBIGUOUS = "ambiguous"  # there, and could be one of several here, or one that has another id there
    UNKNOWN = "unknown"  # there, and nothing here matches


class Line(NamedTuple):
    """One record, there or here. `found_by`: how it was recognised. `candidates`: what it could be. Of the
    fields that differ: those that would be `written` there, of which the system's own value `stands`, and
    those of which a person is `asked`.
    """

    what: What
    entity: str
    key: str = ""
    local_id: str = ""
    found_by: str = ""
    candidates: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    stands: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def linked(
    record: Record,
    system: str,
    rules: EntityRule,
    names: Iterable[str],
    owned: Container[str],
    given: Given,
    *,
    is_ours: bool,
) -> Line:
    """A record that the system has too. `names`: the fields that it would be told of; `owned`: those of which
    it has authority now; `is_ours`: it has been delivered there.
    """
    written, stands, asked = [], [], []
    for name in names:
        there = known(record, system, given, name)
        if name in record.asked:
            asked.append(name)
        elif there is not UNKNOWN and there != record.values.get(name):
            written.append(name)
        elif there is not UNKNOWN and name in owned and _yielded(record, system, name):
            stands.append(name)
    return Line(
        What.LINKED,
        record.entity,
        record.key,
        record.links.get(system, ""),
        _found_by(record, system, rules, given) or (MADE if is_ours else BY_ID),
        (),
        tuple(written),
        tuple(stands),
        tuple(asked),
    )


def _yielded(record: Record, system: str, name: str) -> bool:
    """Another system says something else than this one, and than the hub."""
    return any(name in seen.said for other, seen in record.seen.items() if other != system)


def _found_by(record: Record, system: str, rules: EntityRule, given: Given) -> str:
    """The first match rule that finds the record by what the system says of it."""
    says = {name: known(record, system, given, name) for names in match_rules(rules) for name in names}
    told = {name: value for name, value in says.items() if value is not UNKNOWN}
    theirs = match_texts(rules, told)
    for names, mine, its in zip(match_rules(rules), match_texts(rules, record.values), theirs, strict=True):
        if mine and mine == its:
            return ", ".join(names)
    return ""


class Summary:
    """What many lines come to, and their hash: it is the same whatever the order of the lines."""

    def __init__(self, key: bytes, salt: str) -> None:
        """`salt`: what else the report depends on (the configuration)."""
        self._key = key[: hashlib.blake2b.MAX_KEY_SIZE]
        self._sum = self._number(salt)
        self.counts: dict[str, Counter[str]] = {}
        self.found_by: dict[str, Counter[str]] = {}
        self.fields: dict[str, dict[str, Counter[str]]] = {}

    def add(self, line: Line) -> None:
        """One more."""
        self._sum += self._number(line)
        self.counts.setdefault(line.entity, Counter())[line.what] += 1
        if line.found_by:
            self.found_by.setdefault(line.entity, Counter())[line.found_by] += 1
        for what in ("written", "stands", "asked"):
            for name in getattr(line, what):
                self.fields.setdefault(line.entity, {}).setdefault(name, Counter())[what] += 1

    @property
    def hash(self) -> str:
        """What an approval names: another report has another one."""
        return f"{self._sum % 256**HASH_BYTES:0{2 * HASH_BYTES}x}"

    def as_entries(self) -> Mapping[str, Any]:
        """By entity."""
        return {
            entity: {
                **{what.value: counts.get(what, 0) for what in What},
                "found_by": self.found_by.get(entity, {}),
                "fields": self.fields.get(entity, {}),
            }
            for entity, counts in self.counts.items()
        }

    def _number(self, content: object) -> int:
        digest = hashlib.blake2b(msgpack.packb(content), key=self._key, digest_size=HASH_BYTES)
        return int.from_bytes(digest.digest())
