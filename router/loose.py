"""References to something that no system has told us of yet: they heal when it appears.

Such a reference is kept as `?/<local_id>`. When a record gets that id, an event says to each record that
refers to it by it which one it is.
"""

from collections.abc import Iterator, Mapping

from bus import subjects
from bus.codec import encode_event
from bus.messages import Event, Op, Record, Value
from bus.port import Message
from router.batch import Batch
from router.core.identity import UNKNOWN, LinkName, references
from router.core.joining import HEALS, HUB
from router.core.rules import EntityRule
from router.records import RecordsNow
from router.store import Store


class Loose:
    """Knows which references are loose, in the index and in the batch at hand."""

    def __init__(
        self, store: Store, records: RecordsNow, tokens: subjects.Tokens, entities: Mapping[str, EntityRule]
    ) -> None:
        self._store = store
        self._records = records
        self._tokens = tokens
        self._references = {name: references(rule) for name, rule in entities.items()}
        self._named: set[tuple[str, str]] = {(system, id_) for system, id_ in store.read("loose_names")}
        """(system, local_id) of what is not there; some may be there by now."""

    def note(self, batch: Batch, before: Record | None, record: Record) -> None:
        """The record has changed: which of its references name nothing, and which do no more?"""
        fields = self._references[record.entity]
        now = loose_in(record, fields)
        for system, local_id in sorted(now):
            batch.loose[system, local_id, record.key] = None
            batch.healed.pop((system, local_id, record.key), None)
            self._named.add((system, local_id))
        for system, local_id in sorted(loose_in(before, fields) - now) if before else ():
            batch.loose.pop((system, local_id, record.key), None)
            batch.healed[system, local_id, record.key] = None

    def heal(self, batch: Batch) -> None:
        """Say to what refers to a record that has got its id now, that it has."""
        for name, key in batch.new_links.items():
            if (name[0], name[2]) in self._named:
                batch.again += self._healed(batch, name, key)

    def _healed(self, batch: Batch, name: LinkName, key: str) -> Iterator[Message]:
        system, entity, local_id = name
        there = {str(each) for (each,) in self._store.read("loose", system, local_id)}
        there |= {referrer for s, i, referrer in batch.loose if (s, i) == (system, local_id)}
        for referrer in sorted(there):
            record = batch.records.get(referrer) or self._records.many([referrer]).get(referrer)
            if record is None or not self._means(record, entity, f"{UNKNOWN}/{local_id}"):
                continue
            yield self._said(record, key, f"{UNKNOWN}/{local_id}", batch.records[key])

    def _means(self, record: Record, entity: str, key: str) -> bool:
        """May it be a record of that entity to which this one refers so?"""
        return any(
            entity in to
            and key in (value if isinstance(value := record.values.get(name), tuple) else (value,))
            for name, _, to in self._references.get(record.entity, ())
        )

    def _said(self, record: Record, key: str, old: str, target: Record) -> Message:
        id_ = f"heal.{self._tokens(record.key)}.{self._tokens(key)}.{target.event_seq}"
        act = {"key": record.key, "other": key, "what": HEALS, "from": old}
        at_ms = max((seen.at_ms for seen in target.seen.values()), default=0)
        event = Event(id_, HUB, record.entity, Op.FOLLOW, "", {}, False, at_ms, act=act)
        return Message(subjects.event(HUB, record.entity, Op.FOLLOW), encode_event(event), id_)


def loose_in(record: Record, fields: tuple[tuple[str, bool, tuple[str, ...]], ...]) -> set[tuple[str, str]]:
    """Which references of a record name nothing that is there: the system that said it, and its id for it."""
    found: set[tuple[str, str]] = set()
    for name, _, _ in () if record.deleted else fields:
        value: Value = record.values.get(name)
        for key in value if isinstance(value, tuple) else (value,):
            if isinstance(key, str) and key.startswith(f"{UNKNOWN}/") and name in record.origins:
                found.add((record.origins[name].system, key.partition("/")[2]))
    return found
