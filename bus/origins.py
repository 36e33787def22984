"""Which fields of a record have which origin, as it stands on the wire: most of a record came in one event,
so a few origins are all, each with the names that have it. Reading and writing cost no step per field.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from bus.messages import Origin


class Shared(NamedTuple):
    """An origin, with the fields that have it."""

    system: str
    event_seq: int
    at_ms: int
    rule: str
    rev: int
    names: tuple[str, ...]


class Origins(Mapping[str, Origin]):
    """By field its origin. Never changed: `having` gives another one.

    >>> origins = Origins.of({"name": Origin("sis", 1, 5, "owner"), "email": Origin("sis", 1, 5, "owner")})
    >>> origins.having(["email"], Origin("idp", 2, 6, "owner")).shared
    (Shared(system='sis', event_seq=1, at_ms=5, rule='owner', rev=0, names=('name',)), \
Shared(system='idp', event_seq=2, at_ms=6, rule='owner', rev=0, names=('email',)))
    """

    __slots__ = ("shared",)

    def __init__(self, shared: tuple[Shared, ...]) -> None:
        self.shared = shared

    @classmethod
    def of(cls, origins: Mapping[str, Origin]) -> "Origins":
        """The same origins, each said once."""
        if isinstance(origins, Origins):
            return origins
        # By identity first: fields of one event share the very object, and hashing a tuple costs more.
        names: dict[Origin, list[str]] = {}
        last, at_last = None, list[str]()
        for name, origin in origins.items():
            if origin is not last:
                last, at_last = origin, names.setdefault(origin, [])
            at_last.append(name)
        return cls(tuple([Shared(*origin, tuple(each)) for origin, each in names.items()]))

    def having(self, names: Collection[str], origin: Origin) -> "Origins":
        """With this origin of these fields."""
        kept = []
        for each in self.shared:
            left = each.names
            for name in names:  # few, as a rule
                if name in left:
                    at = left.index(name)
                    left = left[:at] + left[at + 1 :]
            if left is each.names:
                kept.append(each)
            elif left:
                kept.append(Shared(each.system, each.event_seq, each.at_ms, each.rule, each.rev, left))
        if names:
            kept.append(Shared(*origin, tuple(names)))
        return Origins(tuple(kept))

    def system_of(self, name: str) -> str:
        """Who said what a field has; '' if nobody did."""
        for each in self.shared:
            if name in each.names:
                return each.system
        return ""

    def __getitem__(self, name: str) -> Origin:
        for each in self.shared:
            if name in each.names:
                return Origin(*each[:5])
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        names: Iterable[tuple[str, ...]] = (each.names for each in self.shared)
        return (name for each in names for name in each)

    def __len__(self) -> int:
        return sum(len(each.names) for each in self.shared)

    def __repr__(self) -> str:
        return f"Origins({self.shared!r})"
