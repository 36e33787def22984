"""The records at hand: a bounded cache in front of the index, always as new as the last commit.

Intake is the only writer and puts what it commits here, so the workers, who follow close behind, rarely
have to load and decode a record again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

from bus.messages import Record

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The most recently put entries, at most `entries_max`, loaded by `load` when they are asked for."""

    def __init__(self, load: Callable[[Sequence[K]], dict[K, V]], entries_max: int) -> None:
        self._load = load
        self._entries: dict[K, V] = {}
        self._entries_max = entries_max

    def many(self, keys: Iterable[K]) -> dict[K, V]:
        """The entries of these keys; a key without one is not in it."""
        entries = self._entries
        found: dict[K, V] = {}
        missing: dict[K, None] = {}
        for key in keys:
            entry = entries.get(key)
            if entry is None:
                missing[key] = None
            else:
                found[key] = entry
        if missing:
            loaded = self._load(list(missing))
            self.put(loaded)
            found.update(loaded)
        return found

    def put(self, entries: dict[K, V]) -> None:
        """Keep these; the oldest go when there are too many."""
        kept = self._entries
        for key, entry in entries.items():
            kept.pop(key, None)
            kept[key] = entry
        excess = len(kept) - self._entries_max
        if excess > 0:
            for key in list(islice(kept, excess)):
                del kept[key]

    def forget(self, keys: Iterable[K]) -> None:
        """These are so no more."""
        for key in keys:
            self._entries.pop(key, None)

    def get(self, key: K) -> V | None:
        """The entry of a key if it is at hand; never loads."""
        return self._entries.get(key)


class Newest(Generic[K, V]):
    """Entries as they are decided. `beyond`: those that are not in the index yet, and so in no cache."""

    def __init__(self, recent: Recent[K, V]) -> None:
        self._recent = recent
        self.beyond: Mapping[K, V] = {}

    def many(self, keys: Iterable[K]) -> dict[K, V]:
        """As `Recent.many`."""
        beyond = self.beyond
        if not beyond:
            return self._recent.many(keys)
        wanted = list(keys)
        found = self._recent.many([key for key in wanted if key not in beyond])
        found.update({key: beyond[key] for key in wanted if key in beyond})
        return found

    def get(self, key: K) -> V | None:
        """As `Recent.get`."""
        return self.beyond.get(key) or self._recent.get(key)


Records = Recent[str, Record]
"""Records by key."""

Links = Recent[tuple[str, str, str], str]
"""Keys by (system, entity, local_id)."""

RecordsNow = Newest[str, Record]
LinksNow = Newest[tuple[str, str, str], str]
