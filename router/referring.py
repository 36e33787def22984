"""What follows of a merge or a split: events for the other record, and for each that refers to it."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from bus import subjects
from bus.codec import encode_event
from bus.messages import Event, Op
from bus.port import Message
from router.batch import Batch
from router.core.joining import HUB, LEAVES, LETS_GO, REFERS, refers
from router.core.rules import EntityRule
from router.records import RecordsNow
from router.store import Store

AT_ONCE: Final = 500


class Referring:
    """Finds what refers to a record: in the index, and in the batch at hand."""

    def __init__(
        self, store: Store, records: RecordsNow, tokens: subjects.Tokens, entities: Mapping[str, EntityRule]
    ) -> None:
        self._store = store
        self._records = records
        self._tokens = tokens
        self._entities = entities

    def follow(self, batch: Batch, event: Event, seq: int) -> list[Message]:
        """The events that follow of a merge or a split: what refers is re-pointed before a record leaves, so
        that no destination has a reference to nothing.
        """
        key, other = str(event.act["key"]), str(event.act["other"])  # what it is about is what is referred to
        since, what = ("", LEAVES) if event.op is Op.MERGE else (key, LETS_GO)
        found = [
            self._said(event, seq, name, key, {"what": REFERS, "from": other, "since": since})
            for name in self._naming(batch, event.entity, other, since)
        ]
        return [*found, self._said(event, seq, other, key, {"what": what, "ids": self._ids(other)})]

    def _ids(self, key: str) -> dict[str, list[str]]:
        """By system the ids that a record had until now, those included by which nobody spoke of it yet."""
        found: dict[str, list[str]] = {}
        for system, _, local_id in self._store.read("names_of", key):
            if system != HUB:
                found.setdefault(system, []).append(local_id)
        return found

    def _naming(self, batch: Batch, entity: str, key: str, since: str) -> Iterator[str]:
        names = [
            name
            for name, rule in self._entities.items()
            if any(entity in field.to for field in rule.fields.values())
        ]
        wanted = {str(row[0]) for row in self._store.read("naming", json.dumps(names), key)}
        wanted.update(each for each, record in batch.records.items() if record.entity in names)
        keys = sorted(wanted)
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            at_hand = {name: batch.records[name] for name in part if name in batch.records}
            for name, record in {**self._records.many(part), **at_hand}.items():
                if not record.deleted and refers(record, key, self._entities[record.entity], since=since):
                    yield name

    def _said(self, event: Event, seq: int, key: str, other: str, about: Mapping[str, object]) -> Message:
        entity = key.partition("/")[0]
        id_ = f"follow.{seq}.{self._tokens(key)}"
        act = {"key": key, "other": other, "who": event.act.get("who", ""), **about}
        said = Event(id_, HUB, entity, Op.FOLLOW, "", {}, False, event.observed_at_ms, act=act)
        return Message(subjects.event(HUB, entity, Op.FOLLOW), encode_event(said), id_)
