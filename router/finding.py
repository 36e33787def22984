"""Which record is an event about? The crosswalk knows; else the match rules, exactly one record at a time.

What nobody can tell waits as unmatched, for a record that matches or for a person.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from bus import subjects
from bus.codec import decode_event, encode_event
from bus.messages import Event, Op, Record
from bus.port import Message
from router.batch import Batch
from router.core.authority import owners_at
from router.core.identity import (
    SEARCH,
    LinkName,
    found_by,
    hub_text,
    is_another,
    key_for,
    match_texts,
    recognised_by,
)
from router.core.joining import HUB
from router.core.rules import EntityRule
from router.core.voices import names_of
from router.records import LinksNow, RecordsNow
from router.store import Store

ANOTHER: Final = "says another than"
"""Why an event waits whose id is linked: the id seems to have been given to somebody else."""


class Finding:
    """Finds records, and keeps what they are found by: crosswalk and match index, in the batch at hand."""

    def __init__(
        self,
        store: Store,
        records: RecordsNow,
        links: LinksNow,
        tokens: subjects.Tokens,
        entities: Mapping[str, EntityRule],
    ) -> None:
        self._store = store
        self._records = records
        self._links = links
        self._tokens = tokens
        self._entities = entities
        self._matched = {name: recognised_by(rule) for name, rule in entities.items()}
        searched = {
            name: any(each.search for each in rule.fields.values()) for name, rule in entities.items()
        }
        self._found = {name for name in entities if self._matched[name] or searched[name]}
        self._stopped: set[LinkName] = {(s, e, i) for s, e, i in store.read("stopped")}
        """Names of records that wait unmatched though the crosswalk knows them; some may wait no more."""

    def find(
        self, batch: Batch, event: Event, rules: EntityRule, seq: int
    ) -> tuple[str | None, tuple[str, ...], str]:
        """The key of the event's record; or None, the records that it may be, and why nobody can tell."""
        if "key" in event.act or event.op is Op.DISMISS:
            return self._named(batch, event), (), ""
        name = (event.system, event.entity, event.local_id)
        if key := batch.links.get(name):
            record, names = batch.records.get(key), self._matched[event.entity]
            if len(names) > 1 and record is not None and is_another(record, event, names):
                self._stopped.add(name)
                return None, self._candidates(batch, event, rules, only_identity=False), f"{ANOTHER} {key}"
            if name in self._stopped:
                self._stopped.discard(name)
                batch.matched[name] = seq
                self._heard_again(batch, name)
            return key, (), ""
        owns = event.system in owners_at(rules, event.observed_at_ms)
        if event.op is Op.DELETE and not owns:
            return None, (), ""
        if event.hub_id and not owns and (found := self._made_by_us(batch, event)):
            return self._or_taken(batch, name, found, seq)
        if event.op is not Op.DELETE and (rules.identity or not owns):
            candidates = self._candidates(batch, event, rules, only_identity=owns)
            free = [key for key in candidates if self._is_free(batch, key, event.system, rules)]
            if len(candidates) == 1 and free:
                batch.matched[name] = seq
                self._heard_again(batch, name)
                return free[0], (), ""
            if not owns:
                count = len(candidates)
                return None, candidates, f"{count} records match" if count else "no record matches"
        return key_for(event, lambda key: self._taken(batch, key)), (), ""

    def _named(self, batch: Batch, event: Event) -> str:
        """The record that the event itself names; of one that was made one with another, that other."""
        key = str(event.act.get("key", ""))
        record = self.one(batch, key) if event.op in (Op.CREATE, Op.UPDATE) else None
        if record is not None and record.into and (other := self.one(batch, record.into)):
            batch.records.setdefault(other.key, other)
            return other.key
        return key

    def _made_by_us(self, batch: Batch, event: Event) -> Record | None:
        """The live record that has the id which the system says is ours."""
        record = self.one(batch, f"{event.entity}/{event.hub_id}")
        if record is not None and record.into:
            record = self.one(batch, record.into)
        return record if record is not None and not record.deleted else None

    def _or_taken(
        self, batch: Batch, name: LinkName, record: Record, seq: int
    ) -> tuple[str | None, tuple[str, ...], str]:
        """That record, unless the system has another one under that id too: then a person has to look."""
        if name[0] in record.links:
            return None, (record.key,), "the system has another one of our id"
        batch.records.setdefault(record.key, record)
        batch.matched[name] = seq
        return record.key, (), ""

    def _candidates(
        self, batch: Batch, event: Event, rules: EntityRule, *, only_identity: bool
    ) -> tuple[str, ...]:
        """The live records that the first rule finds that finds any."""
        texts = match_texts(rules, event.fields)
        for text in texts[:1] if only_identity else texts:
            if not text:
                continue
            token = self._tokens(f"{event.entity}/{text}")
            found = {str(key): True for (key,) in self._store.read("matching", token)}
            found.update(batch.matches.get(token, {}))
            if keys := tuple(sorted(key for key, there in found.items() if there)):
                return keys
        return ()

    def _is_free(self, batch: Batch, key: str, system: str, rules: EntityRule) -> bool:
        """Has the record no id in that system yet? A membership may get another one."""
        record = self.one(batch, key)
        if record is not None:
            batch.records.setdefault(key, record)
        return record is not None and (bool(rules.identity) or system not in record.links)

    def _taken(self, batch: Batch, key: str) -> bool:
        if key in batch.records or key in batch.asked:
            return key in batch.records
        return bool(self._records.many([key]))

    def linked(self, batch: Batch, before: Record | None, record: Record) -> None:
        """What the crosswalk and the match index say of a record that has changed."""
        if before is None and not record.aliases:  # nearly all
            for system, local_id in record.links.items():
                self._link(batch, (system, record.entity, local_id), record.key)
        elif before is None or _ids(before) != _ids(record):
            then = names_of(before) if before else set()
            now = names_of(record)
            for name in sorted(now - then):
                self._link(batch, name, record.key)
            if not record.into:  # else they are the other record's already
                self._unlink(batch, then - now, record.key)
        if record.entity in self._found:
            self._matches(batch, before, record)
        if before is None and self._entities[record.entity].hub_ids:
            self._say_again(batch, self._tokens(hub_text(record.key)), record.event_seq)

    def _link(self, batch: Batch, name: LinkName, key: str) -> None:
        if batch.links.get(name) != key:
            batch.links[name] = batch.new_links[name] = key
            batch.gone_links.pop(name, None)

    def _unlink(self, batch: Batch, names: Iterable[LinkName], key: str) -> None:
        """Ids that are this record's no more, unless another one has taken them over."""
        gone = sorted(names)
        there = {**self._links.many(gone), **{n: batch.links[n] for n in gone if n in batch.links}}
        for name in gone:
            if there.get(name) == key:
                batch.links.pop(name, None)
                batch.new_links.pop(name, None)
                batch.gone_links[name] = None

    def _matches(self, batch: Batch, before: Record | None, record: Record) -> None:
        rules = self._entities[record.entity]
        old = found_by(rules, before.values) if before and not before.deleted else []
        new = found_by(rules, record.values) if not record.deleted else []
        for text in set(old) - set(new):
            batch.matches.setdefault(self._tokens(f"{record.entity}/{text}"), {})[record.key] = False
        for text in set(new) - set(old):
            token = self._tokens(f"{record.entity}/{text}")
            batch.matches.setdefault(token, {})[record.key] = True
            if not text.startswith(SEARCH):
                self._say_again(batch, token, record.event_seq)

    def _say_again(self, batch: Batch, token: str, seq: int) -> None:
        """What waited for a record like this one is decided again, as a new event."""
        bodies = {tuple(row[:3]): row[3] for row in self._store.read("waiting_for", token)}
        bodies.update({name: each.body for name, each in batch.unmatched.items() if token in each.tokens})
        for name, body in bodies.items():
            if name not in batch.matched:
                batch.again.append(said_again(body, seq))

    def ids_of(self, batch: Batch, record: Record | None) -> Mapping[str, tuple[str, ...]]:
        """By system all ids by which the crosswalk knows a record, those that it does not list included."""
        if record is None:
            return {}
        names = [tuple(row) for row in self._store.read("names_of", record.key)]
        names = [name for name in names if batch.links.get(name, record.key) == record.key]
        names += [name for name, key in batch.new_links.items() if key == record.key]
        found: dict[str, tuple[str, ...]] = {}
        for system, _, local_id in sorted(set(names)):
            if system != HUB:
                found[system] = (*found.get(system, ()), local_id)
        return found

    def is_dismissed(self, batch: Batch, name: LinkName) -> bool:
        """Has a person said that it is to be no record?"""
        return self._dismissed(batch, name) is not None

    def _dismissed(self, batch: Batch, name: LinkName) -> bytes | None:
        if name in batch.dismissed:
            kept = batch.dismissed[name]
            return kept[1] if kept else None
        rows = self._store.read("dismissed_body", *name)
        return bytes(rows[0][0]) if rows else None

    def _heard_again(self, batch: Batch, name: LinkName) -> bytes | None:
        """It is dismissed no more; what it said last, if it was."""
        body = self._dismissed(batch, name)
        if body is not None:
            batch.dismissed[name] = None
        return body

    def answered(self, batch: Batch, event: Event, about: LinkName, seq: int) -> None:
        """A person has decided on an unmatched record: what it said is decided now, or dismissed until a
        record matches it or a person undoes that.
        """
        rows = self._store.read("unmatched_body", *about)
        body = rows[0][0] if rows else self._heard_again(batch, about)
        if about in batch.unmatched:
            body = batch.unmatched.pop(about).body
        batch.matched[about] = seq
        is_over = event.op is Op.DISMISS and not event.act.get("undo")
        if body is not None and is_over:
            batch.dismissed[about] = (seq, body)
        elif body is not None:
            # Linked by a person, it is that record's, whatever it says.
            key = str(event.act.get("key", "")) if event.op is Op.LINK else ""
            batch.again.append(said_again(body, seq, key))

    def look(self, batch: Batch, keys: Iterable[str]) -> Mapping[str, Record]:
        """Records by key, as the batch at hand has them."""
        wanted = list(keys)
        missing = [key for key in wanted if key not in batch.records]
        found = self._records.many(missing) if missing else {}
        return {**found, **{key: batch.records[key] for key in wanted if key in batch.records}}

    def one(self, batch: Batch, key: str) -> Record | None:
        """One record, as the batch at hand has it."""
        return self.look(batch, [key]).get(key)

    def tokens_of(self, event: Event) -> tuple[str, ...]:
        """What a record would be found by that this event is about."""
        texts = match_texts(self._entities[event.entity], event.fields)
        found = tuple(self._tokens(f"{event.entity}/{text}") for text in texts if text)
        if not event.hub_id:
            return found
        return (*found, self._tokens(hub_text(f"{event.entity}/{event.hub_id}")))


def _ids(record: Record) -> tuple[object, ...]:
    return record.links, record.aliases, record.into


def said_again(body: bytes, seq: int, key: str = "") -> Message:
    """An event once more, as news of its own: the same content under an id of its own. `key`: the record that
    it is about, whatever the match rules say.
    """
    event = decode_event(body)
    event = event._replace(id=f"{event.id}.again.{seq}", act={"key": key} if key else {})
    return Message(subjects.event(event.system, event.entity, event.op), encode_event(event), event.id)
