"""Which record is an event about? The crosswalk knows; an unknown id of the owner makes a record."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bus.messages import Event, Fields, Record, Value
from router.core.rules import EntityRule, Type
from router.core.voices import SILENT, voice_of

LinkName = tuple[str, str, str]
"""(system, entity, local_id): what the crosswalk ties to a key."""

UNKNOWN: str = "?"
"""In place of the entity in a reference to something that no system has told us of yet."""


def key_for(event: Event, taken: Callable[[str], bool]) -> str:
    """The key of a new record: `<entity>/<local_id>`, with a suffix if an earlier record had that name.

    >>> from bus.messages import Op
    >>> event = Event("1", "sis", "student", Op.CREATE, "7", {}, True, 0)
    >>> key_for(event, {"student/7"}.__contains__)
    'student/7~2'
    """
    key = name = f"{event.entity}/{event.local_id}"
    count = 1
    while taken(key):
        count += 1
        key = f"{name}~{count}"
    return key


def references(rules: EntityRule) -> tuple[tuple[str, bool, tuple[str, ...]], ...]:
    """The reference fields of an entity: (name, whether it holds several, entities it may name)."""
    return tuple(
        (name, rule.type is Type.REFERENCES, rule.to)
        for name, rule in rules.fields.items()
        if rule.type in (Type.REFERENCE, Type.REFERENCES)
    )


def named(event: Event, rules: tuple[tuple[str, bool, tuple[str, ...]], ...]) -> list[LinkName]:
    """All that the references of an event may name."""
    found: list[LinkName] = []
    for name, several, to in rules:
        value = event.fields.get(name)
        if value is None:
            continue
        for local_id in value if several and isinstance(value, tuple) else (str(value),):
            found += [(event.system, entity, local_id) for entity in to]
    return found


def resolve(
    event: Event,
    rules: tuple[tuple[str, bool, tuple[str, ...]], ...],
    links: Mapping[LinkName, str],
) -> tuple[Fields, tuple[str, ...]]:
    """The fields with record keys in place of the system's own ids, and which fields name something unknown.

    What is unknown keeps the system's id as `?/<local_id>`: nothing is lost, and the next event that carries
    the field puts the key there.
    """
    fields: dict[str, Value] | None = None
    unknown: list[str] = []
    for name, several, to in rules:
        value = event.fields.get(name)
        if value is None:
            continue
        if fields is None:
            fields = dict(event.fields)
        if several and isinstance(value, tuple):
            keys = tuple([_key(event.system, to, local_id, links) for local_id in value])
            fields[name] = keys
            if any(key.startswith(f"{UNKNOWN}/") for key in keys):
                unknown.append(name)
        else:
            key = fields[name] = _key(event.system, to, str(value), links)
            if key.startswith(f"{UNKNOWN}/"):
                unknown.append(name)
    return (event.fields if fields is None else fields), tuple(unknown)


def _key(system: str, to: tuple[str, ...], local_id: str, links: Mapping[LinkName, str]) -> str:
    for entity in to:
        key = links.get((system, entity, local_id))
        if key is not None:
            return key
    return f"{UNKNOWN}/{local_id}"


SEARCH: Final = "?"
"""Begins what only people look for: no system's record is recognised by it."""


def match_rules(rules: EntityRule) -> tuple[tuple[str, ...], ...]:
    """By which fields a record without a link is recognised, the first rule first."""
    return (*((rules.identity,) if rules.identity else ()), *rules.match)


def hub_text(key: str) -> str:
    """What a record is found by that a system names by our own id of it, because we made it there."""
    return f"made by us/{key}"


def match_texts(rules: EntityRule, fields: Mapping[str, Value]) -> list[str]:
    """What each rule finds a record by, in the order of the rules; '' where a value is missing. Case and
    blanks around say nothing.

    >>> rules = EntityRule(name="student", owner="sis", fields={}, match=(("email",), ("given", "family")))
    >>> match_texts(rules, {"email": "A@x.org ", "given": "Ada"})
    ['0:a@x.org', '']
    """
    found = []
    for number, names in enumerate(match_rules(rules)):
        values = [fields.get(name) for name in names]
        if any(value is None or value == () for value in values):
            found.append("")
        else:
            found.append(f"{number}:" + "\x1f".join(_folded(value) for value in values))
    return found


def search_text(name: str, value: Value) -> str:
    """What a person finds a record by who knows the value of that field."""
    return f"{SEARCH}{name}:{_folded(value)}"


def found_by(rules: EntityRule, fields: Mapping[str, Value]) -> list[str]:
    """All that a record is found by: what its match rules say, and its fields with `search`."""
    names = [name for name, rule in rules.fields.items() if rule.search and fields.get(name) is not None]
    return [
        *filter(None, match_texts(rules, fields)),
        *(search_text(name, fields[name]) for name in names),
    ]


def recognised_by(rules: EntityRule) -> tuple[str, ...]:
    """All fields that match rules name."""
    return tuple(dict.fromkeys(name for names in match_rules(rules) for name in names))


def is_another(record: Record, event: Event, names: Sequence[str]) -> bool:
    """Is the event about something else than the record that its id names: an id that was given again?

    Then nothing by which a record is recognised agrees, neither with the record nor with what that id said
    before. One field alone proves nothing: it may have been edited.

    >>> from bus.messages import Op
    >>> record = Record("x/7", "x", 1, 1, False, (), 1, {"name": "Ada", "born": "2010"}, {}, {"sis": "7"}, {})
    >>> said = {"name": "Bea", "born": "2012"}
    >>> event = Event("1", "sis", "x", Op.UPDATE, "7", said, True, 0)
    >>> is_another(record, event, ("name", "born"))
    True
    >>> is_another(record, event._replace(fields={**said, "born": "2010"}), ("name", "born"))
    False
    """
    system = event.system
    by_main = record.links.get(system, event.local_id) == event.local_id
    seen = record.seen.get(system if by_main else voice_of(system, event.local_id), SILENT)
    differ = 0
    for name in names:
        says, has = event.fields.get(name), record.values.get(name)
        if says == has and has is not None:
            return False
        if says is None or has is None:
            continue
        said = seen.said.get(name)
        if _folded(says) == _folded(has) or (said is not None and _folded(says) == _folded(said)):
            return False
        differ += 1
    return differ > 1


def _folded(value: Value) -> str:
    if isinstance(value, tuple):
        return "\x1e".join(sorted(each.strip().casefold() for each in value))
    return str(value).strip().casefold()
