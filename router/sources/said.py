"""What a system says of its own accord, as news of entities: the right one, mapped, under an id. Pure.

News of a table that several entities share goes to the first whose `when` takes it, as a row does. A record
that is gone needs no sound fields: where nothing tells which entity it was of, each is told.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final, NamedTuple

import msgpack

from bus.adapter import Said, Unsound
from bus.messages import Op, Value
from router.core.mapping import Invalid, ToEvent, compile_said, compile_source, unsaid
from router.core.rules import EntityRule, SourceEntity

HASH_BYTES: Final = 16


class News(NamedTuple):
    """One event to be. `name`: what tells it from others, for its id ('' : the sender gave none). `hub_id`:
    what the sender says is our own id of the record. `age_ms`: how old it was when it was sent.
    """

    entity: str
    op: Op
    local_id: str
    fields: dict[str, Value]
    full: bool
    occurred_at_ms: int | None
    name: str
    hub_id: str = ""
    age_ms: int = 0


class Told(NamedTuple):
    """How a system tells of one entity: whole records, parts of them, and records that are gone (`is_gone`
    where it can be told that they were of this entity, else `may_be_gone`).
    """

    rule: SourceEntity
    full: ToEvent
    part: ToEvent
    is_gone: ToEvent
    may_be_gone: ToEvent

    @classmethod
    def of(cls, rule: SourceEntity, entity: EntityRule, zone: tzinfo) -> "Told":
        return cls(
            rule,
            compile_source(rule, entity, zone),
            compile_said(rule, entity, zone),
            compile_said(replace(rule, terms=()), entity, zone),
            compile_said(replace(rule, terms=(), when=None), entity, zone),
        )


class Reader:
    """All that a system may tell of. With the district's `key`, no id tells what the sender's was."""

    def __init__(self, system: str, entities: Sequence[Told], key: bytes) -> None:
        self._system = system
        self._key = key[: hashlib.blake2b.MAX_KEY_SIZE]
        self._tables: dict[str, list[Told]] = {}
        for each in entities:
            self._tables.setdefault(each.rule.table, []).append(each)

    def read(self, index: int, said: Said) -> list[News]:
        """What the index-th thing said comes to; [] if nothing here wants it. Raises Unsound."""
        entities = self._tables.get(said.table)
        if entities is None:
            expected = ", ".join(self._tables)
            raise Unsound(index, "table", f"nothing of that table is read here (expected one of: {expected})")
        found = []
        for each in entities:
            try:
                taken = _how(each, said)(said.values)
            except Invalid as invalid:
                raise Unsound(index, f"data.{_column(each.rule, invalid.field)}", invalid.reason) from None
            if taken is not None:
                found.append(self._news(each, said, *taken))
                if not said.deleted:
                    break
        if len(found) > 1:  # several events of one thing said: each with a name of its own
            found = [news._replace(name=news.name and f"{news.name}.{news.entity}") for news in found]
        return [news for news in found if news.fields or news.op is Op.DELETE]

    def id_of(self, news: News, number: int) -> str:
        """The event's id. `number` counts news without a name: a bare hash would lose the last A of A, B, A
        to the server's dedup.
        """
        if news.name:
            return f"{self._system}.{news.name}"
        content = msgpack.packb((news.entity, news.op, news.local_id, news.fields, news.full, news.hub_id))
        return f"{self._system}.{number}.{self._hash(content)}"

    def number_in(self, id_: str) -> int:
        """The number in an event's id; 0: it has a name."""
        part = id_.removeprefix(f"{self._system}.").partition(".")[0]
        return int(part) if part.isdecimal() and len(part) < 2 * HASH_BYTES else 0

    def _news(self, each: Told, said: Said, local_id: str, fields: dict[str, Value]) -> News:
        op = Op.DELETE if said.deleted else Op.UPDATE
        name = self._hash(said.id.encode()) if said.id else ""
        full = said.full and not said.deleted
        hub_id = said.values.get(each.rule.hub_id_field, "") if each.rule.hub_id_field else ""
        at_ms, age_ms = said.occurred_at_ms, said.age_ms
        return News(each.rule.entity, op, local_id, fields, full, at_ms, name, hub_id, age_ms)

    def _hash(self, content: bytes) -> str:
        return hashlib.blake2b(content, key=self._key, digest_size=HASH_BYTES).hexdigest()


def _how(each: Told, said: Said) -> ToEvent:
    if said.deleted:
        return each.may_be_gone if unsaid(each.rule, said.values) else each.is_gone
    return each.full if said.full else each.part


def _column(rule: SourceEntity, field: str) -> str:
    """What the sender calls a field of the hub."""
    return next((term.column or term.text for term in rule.terms if term.field == field), field)
