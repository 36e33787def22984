"""Entity files to EntityRules: owners and references are looked up, cycles found."""

from collections.abc import Collection, Iterator, Mapping

from router.config.documents import EntityFile, FieldEntry, SystemFile
from router.config.folder import Folder, Written
from router.config.order import cycle, referred
from router.config.positions import Path, Problem
from router.config.salvage import MISTAKEN
from router.config.validation import did_you_mean
from router.core.mapping import BUILT_IN
from router.core.rules import EntityRule, FieldRule, Type

_REFERENCES = (Type.REFERENCE, Type.REFERENCES)


def compile_entities(folder: Folder, systems: tuple[str, ...]) -> tuple[dict[str, EntityRule], list[Problem]]:
    """All entities by name. `systems` are the names that exist, including those that did not compile."""
    rules: dict[str, EntityRule] = {}
    written: dict[str, Written[EntityFile]] = {}
    problems: list[Problem] = []
    names = entity_names(folder)
    for one in folder.entities:
        if one.says is None:
            continue
        if first := written.get(one.says.entity):
            problems.extend(_twice(one, one.says, first))
            continue
        written[one.says.entity] = one
        problems.extend(_wrong(one, one.says, systems, names))
        rules[one.says.entity] = _rule(one.says)
    problems.extend(_cycles(rules, written))
    problems.extend(_silent_owners(folder, written))
    return rules, problems


def entity_names(folder: Folder) -> tuple[str, ...]:
    """What entities there are, those with mistakes included: a reference to one is no second mistake."""
    return tuple(one.name("entity") for one in folder.entities)


def _rule(says: EntityFile) -> EntityRule:
    fields = {
        name: FieldRule(
            name=name,
            type=entry.type,
            owner=says.owner if entry.owner is None else entry.owner,
            class_=entry.class_,
            to=entry.to,
            required=entry.required,
        )
        for name, entry in says.fields.items()
    }
    return EntityRule(name=says.entity, owner=says.owner, fields=fields, partition=says.partition)


def _wrong(
    one: Written[EntityFile], says: EntityFile, systems: tuple[str, ...], entities: tuple[str, ...]
) -> Iterator[Problem]:
    document = one.document
    if says.owner not in systems:
        yield document.problem(("owner",), _no_system("owner", says.owner, systems))
    for name, entry in says.fields.items():
        at: Path = ("fields", name)
        if name in BUILT_IN:
            yield document.problem(at, f'"{name}" has a meaning of its own. Choose another name', key=True)
        if name.lower() == "password":
            yield document.problem(at, "a password is never read or kept. Take the field out", key=True)
        if entry.owner and entry.owner not in systems:
            yield document.problem((*at, "owner"), _no_system(f"{name}.owner", entry.owner, systems))
        for text, where in _wrong_reference(entry, entities):
            yield document.problem((*at, *where), f'"{name}": {text}')
    if text := _no_partition(says):
        yield document.problem(("partition",), text)


def _no_system(what: str, name: str, systems: tuple[str, ...]) -> str:
    return f'{what}: "{name}" is no system here. {did_you_mean(name, systems)}'


def _wrong_reference(entry: FieldEntry, entities: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    if entry.type in _REFERENCES and not entry.to:
        yield "a reference without a target (expected to: [entity])", ("type",)
    if entry.to and entry.type not in _REFERENCES:
        yield f"{entry.type} refers to nothing (expected type: reference or references)", ("to",)
    for n, name in enumerate(entry.to):
        if name not in entities:
            yield f'"{name}" is no entity here. {did_you_mean(name, entities)}', ("to", n)


def _no_partition(says: EntityFile) -> str:
    name = says.partition
    if name and name not in says.fields:
        return f'partition: "{name}" is no field of this entity. {did_you_mean(name, says.fields)}'
    if name and says.fields[name].type not in _REFERENCES:
        return f'partition: "{name}" is a {says.fields[name].type} (expected a reference)'
    return ""


def _twice(one: Written[EntityFile], says: EntityFile, first: Written[EntityFile]) -> Iterator[Problem]:
    place = f"{first.document.file}:{first.document.place(('entity',)).line}"
    yield one.document.problem(("entity",), f'"{says.entity}" a second time (first in {place})')
    for name in says.fields:
        if first.says and name in first.says.fields:
            line = first.document.place(("fields", name), key=True).line
            text = f'"{says.entity}.{name}" a second time (first in {first.document.file}:{line})'
            yield one.document.problem(("fields", name), text, key=True)


def _cycles(rules: Mapping[str, EntityRule], written: Mapping[str, Written[EntityFile]]) -> Iterator[Problem]:
    """Required references wait for their targets: in a circle they would wait for ever."""
    needs = {name: referred(rule, required=True) for name, rule in rules.items()}
    for name, rule in rules.items():
        if way := cycle(name, needs):
            field = next(f.name for f in rule.fields.values() if f.required and way[1] in f.to)
            text = f"required references in a circle: {' → '.join(way)}. One of them cannot be required"
            yield written[name].document.problem(("fields", field), text, key=True)


def _silent_owners(folder: Folder, written: Mapping[str, Written[EntityFile]]) -> Iterator[Problem]:
    """Owners that never say what they own: nothing would ever move, and nobody would see why."""
    told = {one.says.system: _told_by(one.says) for one in folder.systems if one.says}
    names = entity_names(folder)
    # whoever misspells an entity is told so, and not this too
    told = {system: told_of for system, told_of in told.items() if all(name in names for name in told_of)}
    for entity, one in written.items():
        if one.says is None:
            continue
        owner = one.says.owner
        if owner in told and entity not in told[owner]:
            text = f"owner: {owner} tells us nothing of {entity}: it has no source: entities: {entity}:"
            yield one.document.problem(("owner",), text)
        for name, entry in one.says.fields.items():
            owner = entry.owner or ""
            fields = told[owner].get(entity, ()) if owner in told else (MISTAKEN,)
            if name not in fields and MISTAKEN not in fields:
                text = f"{name}.owner: {owner} does not map this field of {entity} in its source:"
                yield one.document.problem(("fields", name, "owner"), text)


def _told_by(says: SystemFile) -> dict[str, Collection[str]]:
    """The fields that a system's source maps, by entity."""
    return {name: entry.fields for name, entry in says.source.entities.items()} if says.source else {}
