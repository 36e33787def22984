"""A destination that tells us too: what it has is not only what it was given, but also what it says.

A record is sent when the system has something else, and not when it only said first what stands now.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from bus.codec import encode_given
from bus.messages import EXISTENCE, Op, Outcome, Record, Value
from router.core.delivery import Planned
from router.core.held import IN_FLIGHT_MS, NOTHING_GIVEN, UNKNOWN, Given, handed, has, known
from router.core.mapping import id_of
from router.database import Write
from router.delivery.settled import Claim, Settled
from router.store import Store

NOTHING_HEARD: Final[Mapping[str, Mapping[str, str]]] = {}
NO_SKEWS: Final[Mapping[str, int]] = {}
IN_DOUBT_MAX: Final = 10_000
Names = Mapping[str, tuple[str, ...]]
"""By entity the fields that a destination is told of."""


class BothWays:
    """One destination's view of records of which it tells us too: `names` has those entities only.
    `tokens_of`: by what a record is recognised. `lags_s`: by entity within what time it takes up what it is
    given, if that is not at once. `as_heard`: by entity its fields that it is told as it tells them, with the
    hub's. `skews_ms`: by entity how wrong the clock may be that dates its news.
    """

    def __init__(
        self,
        system: str,
        names: Names,
        leaves: frozenset[str],
        store: Store,
        tokens_of: Callable[[Record], Iterable[str]],
        lags_s: Mapping[str, float],
        as_heard: Mapping[str, Mapping[str, str]] = NOTHING_HEARD,
        skews_ms: Mapping[str, int] = NO_SKEWS,
    ) -> None:
        self._skews_ms = skews_ms
        self._as_heard = as_heard
        self._system = system
        self._tokens_of = tokens_of
        self.names = names
        self._leaves = leaves
        self._lags_s = lags_s
        self._store = store
        self._in_doubt: dict[str, Given] = {}

    def sending(self, planned: Iterable[tuple[Claim, Record, Planned]], given: Mapping[str, Given]) -> None:
        """These are on their way: until they are settled the system may have them, and say so."""
        for claim, record, each in planned:
            names = self.names.get(record.entity)
            if names and each.delivery and each.delivery.op is not Op.DELETE:
                seen, values = record.seen.get(self._system), {n: record.values.get(n) for n in names}
                before = given.get(claim.key, NOTHING_GIVEN)
                self._in_doubt[claim.key] = handed(before, seen, values, IN_FLIGHT_MS)
        while len(self._in_doubt) > IN_DOUBT_MAX:
            del self._in_doubt[next(iter(self._in_doubt))]

    def settled(self, done: Iterable[Settled]) -> None:
        """These are on their way no more, and the index knows it."""
        if self._in_doubt:
            for each in done:
                self._in_doubt.pop(each.claim.key, None)

    def may_have(self, keys: Sequence[str]) -> dict[str, Given]:
        """By key what the system was given, that included which it has not answered for."""
        found = self._store.given(self._system, keys)
        found.update({key: self._in_doubt[key] for key in keys if key in self._in_doubt})
        return found

    def given(self, claims: Iterable[Claim]) -> dict[str, Given]:
        """By key what the system was given of these and may not have taken up."""
        if not self.names:
            return {}
        keys = [claim.key for claim in claims if claim.key.partition("/")[0] in self.names]
        return self._store.given(self._system, keys) if keys else {}

    def told(self, record: Record, given: Given) -> tuple[Record, bool]:
        """The record as the system is told it, and whether it has that already.

        A field that waits for a person's pick, or whose refused claim is left alone, is told as the system
        has it.
        """
        names = self.names[record.entity]
        seen = record.seen.get(self._system)
        kept: dict[str, Value] = {}
        for name, systems in record.asked.items():
            if self._system in systems:
                self._keep(kept, record, given, name)
        if seen is not None and record.entity in self._leaves:
            for name, claim in seen.claims.items():
                if claim.is_open and name in names:
                    self._keep(kept, record, given, name)
        if kept:
            record = record._replace(values={**record.values, **kept})
        skew_ms = self._skews_ms.get(record.entity, 0)
        has_it = all(has(record, self._system, given, name, skew_ms) for name in names)
        return record, has_it and (EXISTENCE not in seen.said if seen else True)

    def as_told(self, record: Record) -> Record:
        """A record that may be about to go, as the system is told it."""
        if record.entity not in self.names:
            return record
        given = self._store.given(self._system, [record.key])
        return self.told(record, given.get(record.key, NOTHING_GIVEN))[0]

    def base(self, record: Record, given: Given) -> dict[str, Value]:
        """What the system has of its fields, as far as it says so itself."""
        as_heard = self._as_heard.get(record.entity, {}).items()
        has = {field: known(record, self._system, given, name) for field, name in as_heard}
        return {field: value for field, value in has.items() if value is not UNKNOWN}

    def _keep(self, kept: dict[str, Value], record: Record, given: Given, name: str) -> None:
        value = known(record, self._system, given, name)
        if value is not UNKNOWN:
            kept[name] = value

    def may_be_there(self, record: Record) -> bool:
        """Does the system have something that matches nothing yet, and may be this record? Then making it
        there would make it twice.
        """
        return record.entity in self.names and any(
            system == self._system
            for token in self._tokens_of(record)
            for system, *_ in self._store.read("waiting_for", token)
        )

    def linked(self, claim: Claim, record: Record) -> Claim:
        """With the id by which the system itself speaks of the record, where it has not been told yet."""
        link = record.links.get(self._system, "")
        if not link or record.into or claim.held.local_id or link == id_of(record.key):
            return claim
        return claim._replace(held=claim.held._replace(local_id=link))

    def mine(self, claims: Sequence[Claim], records: Mapping[str, Record]) -> list[Claim]:
        """The claims, without what stands in the system under an id that is another record's main one now:
        two records were made one, or taken apart again, and what is there is that other one's.
        """
        asked: dict[tuple[str, str, str], str] = {}
        for claim in claims:
            record = records[claim.key]
            local_id = claim.held.local_id
            is_its = record.links.get(self._system) == local_id and not record.into
            if local_id and record.entity in self.names and not is_its:
                asked[self._system, record.entity, local_id] = claim.key
        owners = self._store.links(list(asked)) if asked else {}
        others = {name: key for name, key in owners.items() if key != asked[name]}
        found = self._store.records(list(others.values())) if others else {}
        lost = {
            asked[name]
            for name, key in others.items()
            if key in found and found[key].links.get(self._system) == name[2]
        }
        return [
            claim._replace(held=claim.held._replace(hash="", local_id="")) if claim.key in lost else claim
            for claim in claims
        ]

    def writes(self, done: Sequence[Settled], given: Mapping[str, Given], now_ms: int) -> list[Write]:
        """What deliveries that have ended gave the system, the ids that it speaks by, and when to look
        whether it has taken that up.
        """
        gave: list[tuple[object, ...]] = []
        links: list[tuple[object, ...]] = []
        takeup: list[tuple[object, ...]] = []
        if not self.names:
            return []
        for each in done:
            names = self.names.get(each.record.entity)
            if names is None or each.outcome not in (Outcome.DELIVERED, Outcome.UNCHANGED):
                continue
            record, claim = each.record, each.claim
            if not each.hash:  # it is gone there, and what was given with it: it knows that now
                gave.append((self._system, claim.record, encode_given({EXISTENCE: [(now_ms, False)]})))
                continue
            if each.sent:
                values = {name: record.values.get(name) for name in names}
                seen = record.seen.get(self._system)
                pending = handed(given.get(claim.key, NOTHING_GIVEN), seen, values, now_ms)
                gave.append((self._system, claim.record, encode_given(pending)))
                if lag_s := self._lags_s.get(record.entity):
                    takeup.append((self._system, claim.record, now_ms + int(lag_s * 1000)))
            if not claim.held.hash or (each.local_id and each.local_id != claim.held.local_id):
                local_id = each.local_id or id_of(record.key)
                links.append((self._system, record.entity, local_id, record.key))
        rows = {"save_given": gave, "save_links": links, "save_takeup": takeup}
        return [self._store.write(query, each) for query, each in rows.items()]
