"""Entity files to EntityRules: owners and references are looked up, cycles found."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo

from router.config.authority import (
    Owner,
    OwnerPeriod,
    no_day,
    periods,
    sole,
    systems_of,
    wrong_during,
    wrong_owner,
)
from router.config.documents import SystemFile
from router.config.entity_documents import EntityFile, FieldEntry
from router.config.folder import Folder, Written
from router.config.order import cycle, referred
from router.config.positions import Path, Problem
from router.config.salvage import MISTAKEN
from router.config.terms import Names, TermReader, field_types
from router.config.validation import did_you_mean
from router.core.mapping import BUILT_IN
from router.core.rules import EntityRule, FieldRule, Invariant, Type

_REFERENCES = (Type.REFERENCE, Type.REFERENCES)


def compile_entities(
    folder: Folder, systems: tuple[str, ...], zone: tzinfo
) -> tuple[dict[str, EntityRule], list[Problem]]:
    """All entities by name. `systems` are the names that exist, including those that did not compile; dates
    without a zone are in `zone`.
    """
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
        rules[one.says.entity] = _rule(one, one.says, zone, problems)
    for one in written.values():
        if one.says:
            problems.extend(_wrong_paths(one, one.says, rules))
    problems.extend(_cycles(rules, written))
    problems.extend(_silent_owners(folder, written))
    return rules, problems


def entity_names(folder: Folder) -> tuple[str, ...]:
    """What entities there are, those with mistakes included: a reference to one is no second mistake."""
    return tuple(one.name("entity") for one in folder.entities)


def _rule(one: Written[EntityFile], says: EntityFile, zone: tzinfo, problems: list[Problem]) -> EntityRule:
    fields = {
        name: FieldRule(
            name=name,
            type=entry.type,
            owner=sole(_owner(says, name)),
            class_=entry.class_,
            to=entry.to,
            required=entry.required,
            owners=periods(_owner(says, name), zone),
            ties=_ties(says, name),
            group=next((group.fields for group in says.groups.values() if name in group.fields), ()),
            is_set=entry.set,
            search=entry.search,
        )
        for name, entry in says.fields.items()
    }
    rule = EntityRule(
        name=says.entity,
        owner=sole(says.owner),
        fields=fields,
        partition=says.partition,
        owners=periods(says.owner, zone),
        ties=says.ties or "priority",
        match=says.match,
        identity=says.identity,
        ends=says.ends,
    )
    return replace(rule, invariants=_invariants(one, says, rule, problems))


def _owner(says: EntityFile, name: str) -> Sequence[OwnerPeriod]:
    """A field's own owner, its group's, the entity's."""
    group = next((group for group in says.groups.values() if name in group.fields), None)
    if group is not None and group.owner is not None:
        return group.owner
    own = says.fields[name].owner
    return says.owner if own is None else own


def _ties(says: EntityFile, name: str) -> str:
    group = next((group for group in says.groups.values() if name in group.fields), None)
    return (group.ties if group else None) or says.fields[name].ties or "priority"


def _invariants(
    one: Written[EntityFile], says: EntityFile, rule: EntityRule, problems: list[Problem]
) -> tuple[Invariant, ...]:
    reader = TermReader(document=one.document)
    types = field_types(rule.fields) if one.whole else None
    names = Names(known=tuple(rule.fields), what=f"field of {rule.name}", types=types)
    found = []
    for n, text in enumerate(says.invariants):
        if program := reader.program(("invariants", n), text, names):
            found.append(Invariant(text=text, program=program))
    problems.extend(reader.problems)
    return tuple(found)


def _wrong(
    one: Written[EntityFile], says: EntityFile, systems: tuple[str, ...], entities: tuple[str, ...]
) -> Iterator[Problem]:
    document = one.document
    yield from wrong_owner(document, ("owner",), "owner", says.owner, systems)
    yield from _wrong_groups(one, says, systems)
    for key, lists in (("match", says.match), ("identity", (says.identity,))):
        for n, names in enumerate(lists):
            for name in names:
                if name not in says.fields:
                    text = f'{key}: "{name}" is no field of this entity. {did_you_mean(name, says.fields)}'
                    yield document.problem((key, n), text)
    for name, entry in says.fields.items():
        at: Path = ("fields", name)
        if name in BUILT_IN:
            yield document.problem(at, f'"{name}" has a meaning of its own. Choose another name', key=True)
        if name.lower() == "password":
            yield document.problem(at, "a password is never read or kept. Take the field out", key=True)
        yield from wrong_owner(document, (*at, "owner"), f"{name}.owner", entry.owner or (), systems)
        if entry.ties and len(systems_of(_owner(says, name))) < 2:
            yield document.problem((*at, "ties"), f"{name}: one owner has nobody to tie with. Take it out")
        if entry.set and entry.type not in (Type.LIST, Type.REFERENCES):
            text = f"{name}: {entry.type} is no list (expected set: with type: list or references)"
            yield document.problem((*at, "set"), text)
        for text, where in _wrong_reference(entry, entities):
            yield document.problem((*at, *where), f'"{name}": {text}')
    if text := _no_partition(says):
        yield document.problem(("partition",), text)


def _wrong_groups(one: Written[EntityFile], says: EntityFile, systems: tuple[str, ...]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, group in says.groups.items():
        at: Path = ("groups", name)
        yield from wrong_owner(one.document, (*at, "owner"), f"{name}.owner", group.owner or (), systems)
        for n, field in enumerate(group.fields):
            if field not in says.fields:
                text = f'"{field}" is no field of this entity. {did_you_mean(field, says.fields)}'
                yield one.document.problem((*at, "fields", n), text)
            elif field in seen:
                text = f'"{field}" is in the group {seen[field]} too (a field has one group)'
                yield one.document.problem((*at, "fields", n), text)
            seen.setdefault(field, name)
        owners = {systems_of(_owner(says, field)) for field in group.fields if field in says.fields}
        if len(owners) > 1:
            text = f"{name}: its fields have several owners (expected one: add owner: to the group)"
            yield one.document.problem(at, text, key=True)


def _wrong_paths(
    one: Written[EntityFile], says: EntityFile, rules: Mapping[str, EntityRule]
) -> Iterator[Problem]:
    owners: list[tuple[Path, Owner]] = [(("owner",), says.owner)]
    owners += [(("fields", name, "owner"), entry.owner or ()) for name, entry in says.fields.items()]
    owners += [(("groups", name, "owner"), group.owner or ()) for name, group in says.groups.items()]
    for at, owner in owners:
        yield from wrong_during(one.document, at, owner, says.entity, rules)
    for n, path in enumerate(says.ends):
        if why := no_day(path, says.entity, rules):
            yield one.document.problem(("ends", n), f'ends: "{path}": {why}')


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
        for owner in systems_of(one.says.owner):
            if owner in told and entity not in told[owner]:
                text = f"owner: {owner} tells us nothing of {entity}: it has no source: entities: {entity}:"
                yield one.document.problem(("owner",), text)
        for name, entry in one.says.fields.items():
            for owner in systems_of(entry.owner or ()):
                fields = told[owner].get(entity, ()) if owner in told else (MISTAKEN,)
                if name not in fields and MISTAKEN not in fields:
                    text = f"{name}.owner: {owner} does not map this field of {entity} in its source:"
                    yield one.document.problem(("fields", name, "owner"), text)


def _told_by(says: SystemFile) -> dict[str, Collection[str]]:
    """The fields that a system's source maps, by entity."""
    return {name: entry.fields for name, entry in says.source.entities.items()} if says.source else {}
