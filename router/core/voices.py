"""A record with several ids in one system: each of them is a voice, with its own side of the three-way base.

The main id speaks for the system. An alias is heard where it agreed with the record so far; where it differs,
it is only noted. So two rows of one person do not fight, and when the main id goes, the next one speaks.
"""

from typing import Final

from bus.messages import Record, Seen

SILENT: Final = Seen(0)
"""What an id says that has said nothing."""


def voice_of(system: str, local_id: str) -> str:
    """Under which name a record's `seen` has what an alias says."""
    return f"{system}:{local_id}"


def system_of(voice: str) -> str:
    """The system of a voice, main or not.

    >>> system_of("sis"), system_of("sis:1002")
    ('sis', 'sis')
    """
    return voice.partition(":")[0]


def ids_of(record: Record, system: str) -> tuple[str, ...]:
    """All ids that a record has in a system, the main one first."""
    main = record.links.get(system)
    return (*(() if main is None else (main,)), *record.aliases.get(system, ()))


def with_ids(record: Record, system: str, ids: tuple[str, ...]) -> Record:
    """The record with these ids in a system, the first one its main."""
    links = {name: each for name, each in record.links.items() if name != system}
    aliases = {name: each for name, each in record.aliases.items() if name != system}
    if ids:
        links[system] = ids[0]
    if ids[1:]:
        aliases[system] = ids[1:]
    return record._replace(links=links, aliases=aliases)


def led_by(record: Record, system: str, local_id: str) -> Record:
    """The record with that id as the system's main one; what was main is an alias, with its voice."""
    ids = ids_of(record, system)
    if ids and ids[0] == local_id:
        return record
    seen = dict(record.seen)
    said, main = seen.pop(voice_of(system, local_id), None), seen.pop(system, None)
    if said is not None:
        seen[system] = said
    if main is not None and ids:
        seen[voice_of(system, ids[0])] = main
    rest = tuple([each for each in ids if each != local_id])
    return with_ids(record, system, (local_id, *rest))._replace(seen=seen)


def speaking(record: Record, system: str, but: str) -> str:
    """Another id of the system that has the record, as far as it has said; '' if there is none."""
    for local_id in record.aliases.get(system, ()):
        if local_id != but and record.seen.get(voice_of(system, local_id), SILENT).names:
            return local_id
    return ""


def names_of(record: Record) -> set[tuple[str, str, str]]:
    """By what names (system, entity, local_id) the crosswalk has a record: by none while it is one with
    another, whose names they are then.
    """
    if record.into:
        return set()
    names = {(system, record.entity, local_id) for system, local_id in record.links.items()}
    return names | {(system, record.entity, each) for system, ids in record.aliases.items() for each in ids}
