"""Which entity comes before which: a reference's target before what refers to it, and no cycles of those."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from router.core.rules import EntityRule


def referred(entity: EntityRule, *, required: bool = False) -> tuple[str, ...]:
    """The entities that this one refers to, each once; only those it cannot be without, if `required`."""
    fields = [field for field in entity.fields.values() if field.required or not required]
    return tuple(dict.fromkeys(name for field in fields for name in field.to))


def cycle(start: str, next_of: Mapping[str, Sequence[str]]) -> list[str]:
    """A way from `start` back to itself, or nothing.

    >>> cycle("a", {"a": ["b"], "b": ["a"]})
    ['a', 'b', 'a']
    """
    ways = [[start]]
    been: set[str] = set()
    while ways:
        way = ways.pop()
        for name in next_of.get(way[-1], ()):
            if name == start:
                return [*way, start]
            if name not in been:
                been.add(name)
                ways.append([*way, name])
    return []


def targets_first(names: Iterable[str], next_of: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    """The names, each after those that it refers to where there is no cycle, else as they came.

    >>> targets_first(["class", "org"], {"class": ["org"], "org": ["org"]}.__getitem__)
    ('org', 'class')
    """
    given = tuple(names)
    placed: dict[str, None] = {}
    open_: set[str] = set()

    def place(name: str) -> None:
        if name in placed or name in open_ or name not in given:
            return
        open_.add(name)
        for target in next_of(name):
            place(target)
        placed[name] = None

    for name in given:
        place(name)
    return tuple(placed)
