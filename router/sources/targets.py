"""What references of a reading may name: what it brings, what it leaves alone, what waits to be there."""

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from bus.messages import Value
from router.sources.shelf import Shelf

KNOWN_MAX: Final = 20_000
NAMES_AT_ONCE: Final = 500

Target = tuple[str, str]
"""(entity, local_id): what a reference may name."""

References = Sequence[tuple[str, bool, tuple[str, ...]]]
"""(field, whether it holds several, entities it may name)."""


class Targets:
    """Looks them up on the shelf, and remembers some. `spoken`: the entities that the reading speaks of."""

    def __init__(self, shelf: Shelf, *, full: bool, spoken: Container[str]) -> None:
        self._shelf = shelf
        self._full = full
        self._spoken = spoken
        self._waits = bool(shelf.read("any_waiting"))
        self._known: dict[str, set[str]] = {}

    def missing(self, references: References, rows: Sequence[Mapping[str, Value]]) -> set[Target]:
        """What the references of a batch may name and is not (yet) there."""
        wanted: set[Target] = set()
        for name, several, to in references:
            known = [self._known.setdefault(entity, set()) for entity in to]
            values = {fields.get(name) for fields in rows}
            values.discard(None)
            ids: Iterable[Any] = chain.from_iterable(values) if several else map(str, values)  # type: ignore[arg-type]
            for target_id in ids:
                if not any(target_id in there for there in known):
                    wanted.update((entity, target_id) for entity in to)
        there = self.there(wanted) if wanted else set()
        for entity, target_id in there:
            self._known[entity].add(target_id)
        if sum(map(len, self._known.values())) > KNOWN_MAX:
            for known_ids in self._known.values():
                known_ids.clear()
        return wanted - there

    def there(self, wanted: Iterable[Target]) -> set[Target]:
        """Which of these are there, or wait to be."""
        names = list(wanted)
        found: set[Target] = set()
        for start in range(0, len(names), NAMES_AT_ONCE):
            part = names[start : start + NAMES_AT_ONCE]
            found.update(self._shelf.read_rows("targets", part))
            # What this reading does not speak of is still there.
            kept = [name for name in part if not self._full or name[0] not in self._spoken]
            found.update(self._shelf.read_rows("held_targets", kept))
            if self._waits:
                found.update(self._shelf.read_rows("waiting_targets", kept))
        return found
