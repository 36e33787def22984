"""System files to SystemRules: adapters and their settings, entities, terms, and what must not leave."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import adapters
from bus.adapter import EntityShape, Settings
from bus.errors import ConfigError
from router.config.documents import DestinationEntry, DestinationPart, SourceEntry, SourcePart, SystemFile
from router.config.fitting import misfits
from router.config.folder import Folder, Written
from router.config.order import cycle, referred, targets_first
from router.config.positions import Document, Path, Problem
from router.config.salvage import MISTAKEN
from router.config.samples import TOLD, of_type
from router.config.terms import Names, TermReader, record_names, used_fields
from router.config.validation import as_meant, did_you_mean, validate
from router.core.rules import (
    DestinationEntity,
    DestinationRule,
    EntityRule,
    SourceEntity,
    SourceRule,
    SystemRule,
    Term,
)
from router.core.schedule import Schedule
from router.core.shapes import destination_shape, source_shape
from router.core.spelling import NORMALIZE

SKEW_S: Final = 300.0
"""How wrong the clock of a machine may be that nobody looks after."""
RESERVED: Final = ("operator", "yellowbus", "intake")
"""Names that the bus uses itself, beside the systems'."""


def system_names(folder: Folder) -> tuple[str, ...]:
    """What systems there are, those with mistakes included: naming one of them is no second mistake."""
    return tuple(one.name("system") for one in folder.systems)


def compile_systems(
    folder: Folder, entities: Mapping[str, EntityRule], entity_names: tuple[str, ...]
) -> tuple[dict[str, SystemRule], list[Problem]]:
    """All systems by name. `entity_names` are those that exist, including those that did not compile."""
    rules: dict[str, SystemRule] = {}
    files: dict[str, Document] = {}
    problems: list[Problem] = []
    names = system_names(folder)
    whole = {one.name("entity") for one in folder.entities if one.whole}
    for one in folder.systems:
        if one.says is None:
            continue
        name = one.says.system
        if first := files.get(name):
            place = f"{first.file}:{first.place(('system',)).line}"
            problems.append(one.document.problem(("system",), f'"{name}" a second time (first in {place})'))
            continue
        files[name] = one.document
        compiled = _System(one.document, one.says, entities, entity_names, names, whole)
        rules[name] = compiled.rule()
        problems.extend(compiled.problems)
    problems.extend(_wrong_after(folder))
    return rules, problems


class _System:
    """One file on its way to a SystemRule."""

    def __init__(
        self,
        document: Document,
        says: SystemFile,
        entities: Mapping[str, EntityRule],
        entity_names: tuple[str, ...],
        systems: tuple[str, ...],
        whole: Collection[str],
    ) -> None:
        self.document = document
        self.says = says
        self.entities = entities
        self.entity_names = entity_names
        self.systems = systems
        self.whole = whole
        self.terms = TermReader(document=document)

    @property
    def problems(self) -> list[Problem]:
        return self.terms.problems

    def rule(self) -> SystemRule:
        says = self.says
        if says.system in RESERVED:
            self._wrong(("system",), f'"{says.system}" is a name that yellowbus uses itself. Choose another')
        if not says.source and not says.destination:
            self._wrong((), "neither source: nor destination: (expected at least one)")
        return SystemRule(
            name=says.system,
            title=says.title or says.system,
            file=self.document.file,
            source=self._source(says.source) if says.source else None,
            destination=self._destination(says.destination) if says.destination else None,
        )

    def _wrong(self, path: Path, text: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, text, key=key))

    def _settings(self, side: str, adapter: str, settings: dict[str, Any]) -> Settings | None:
        """Validate the settings by the adapter's model. None if they are wrong."""
        known = adapters.names(side)
        if adapter not in known:
            self._wrong(
                (side, "adapter"), f'"{adapter}" is no {side} adapter. {did_you_mean(adapter, known)}'
            )
            return None
        try:
            model = adapters.settings_class(side, adapter)
        except ConfigError as error:
            self._wrong((side, "adapter"), error.message)
            return None
        path: Path = (side, "settings")
        document, data, slips = as_meant(model, self.document, settings, path)
        checked, problems = validate(model, document, data, path)
        self.problems.extend(slips + problems)
        return checked

    def _fit(
        self,
        side: str,
        adapter: str,
        settings: Settings | None,
        shapes: Sequence[EntityShape],
        read: Mapping[str, SourceEntity] | None = None,
    ) -> None:
        """What the adapter knows of the mapping; a place that is wrong already is not called so twice."""
        if adapter not in adapters.names(side):
            return
        there = {problem[:3] for problem in self.problems}
        try:
            found = list(misfits(self.document, side, adapter, settings, shapes, read))
        except ConfigError as error:
            self._wrong((side, "adapter"), error.message)
            return
        self.problems.extend(problem for problem in found if problem[:3] not in there)

    def _entity(self, path: Path, name: str) -> EntityRule | None:
        if name not in self.entity_names:
            self._wrong(
                path, f'"{name}" is no entity here. {did_you_mean(name, self.entity_names)}', key=True
            )
        return self.entities.get(name)

    def _in_order(self, names: Mapping[str, object]) -> tuple[str, ...]:
        return targets_first(names, lambda name: referred(self.entities[name]))

    # -- source

    def _source(self, part: SourcePart) -> SourceRule:
        settings = self._settings("source", part.adapter, part.settings)
        tables = self._tables(part.adapter)
        found: dict[str, SourceEntity] = {}
        for name, entry in part.entities.items():
            path: Path = ("source", "entities", name)
            if entity := self._entity(path, name):
                found[name] = self._source_entity(path, entry, entity, tables)
        ordered = {name: self._named_alike(found[name], found) for name in self._in_order(found)}
        shapes = [source_shape(rule, self.entities[name]) for name, rule in ordered.items()]
        self._fit("source", part.adapter, settings, shapes, ordered)
        skew_s = self._skew_s(part.adapter) if part.clock_skew is None else part.clock_skew
        return SourceRule(adapter=part.adapter, settings=part.settings, entities=ordered, skew_s=skew_s)

    def _skew_s(self, adapter: str) -> float:
        """How wrong the clock may be by which an adapter dates what it reads; none if it is ours."""
        try:
            ours: bool = getattr(adapters.adapter_class("source", adapter), "own_clock", False)
        except ConfigError:  # said at its settings
            return 0.0
        return 0.0 if ours else SKEW_S

    def _tables(self, adapter: str) -> Mapping[str, tuple[str, ...]]:
        """The tables that the adapter knows, if it says so."""
        try:
            return getattr(adapters.adapter_class("source", adapter), "tables", {})
        except ConfigError:  # said at its settings
            return {}

    def _named_alike(self, rule: SourceEntity, rules: Mapping[str, SourceEntity]) -> SourceEntity:
        """References are spelled as the ids that they name."""
        fields = self.entities[rule.entity].fields
        steps = {
            term.field: next((rules[to].id_normalize for to in fields[term.field].to if to in rules), ())
            for term in rule.terms
            if term.field in fields
        }
        terms = [
            replace(term, normalize=(*term.normalize, *steps.get(term.field, ()))) for term in rule.terms
        ]
        return replace(rule, terms=tuple(terms))

    def _source_entity(
        self, path: Path, entry: SourceEntry, entity: EntityRule, tables: Mapping[str, tuple[str, ...]]
    ) -> SourceEntity:
        table = entry.table or entity.name
        names = self._columns(path, table, tables)
        self.terms.term((*path, "id"), "id", entry.id, names)
        if entry.hub_id:
            self.terms.term((*path, "hub_id"), "hub_id", entry.hub_id, names)
            told = self.says.destination.entities if self.says.destination else {}
            if entity.name not in told:
                text = (
                    f"it is not told of {entity.name}, so no {entity.name} there is made by us. Take it out"
                )
                self._wrong((*path, "hub_id"), text)
        for name in entry.normalize:
            if name not in (*entry.fields, "id"):
                text = f'"{name}" is not among the fields above. {did_you_mean(name, entry.fields)}'
                self._wrong((*path, "normalize", name), text, key=True)
        spelled = self._id_steps((*path, "normalize", "id"), entry)
        terms = tuple(
            self._source_term(path, name, text, entry, entity, names) for name, text in entry.fields.items()
        )
        self._missing(path, entry, entity)
        return SourceEntity(
            entity=entity.name,
            table=table,
            id_field=entry.id,
            terms=terms,
            when=self.terms.program((*path, "when"), entry.when, names) if entry.when else None,
            when_text=entry.when or "",
            hub_id_field=entry.hub_id,
            id_normalize=spelled,
        )

    def _id_steps(self, path: Path, entry: SourceEntry) -> tuple[str, ...]:
        """How an id is spelled: that has nothing to do with dates."""
        steps = entry.normalize.get("id", ())
        if any(step not in NORMALIZE for step in steps):
            self._wrong(path, f"id: (expected of {', '.join(NORMALIZE)}: an id is no date)")
            return ()
        return steps

    def _columns(self, path: Path, table: str, tables: Mapping[str, tuple[str, ...]]) -> Names:
        if tables and table not in tables:
            text = f'"{table}" is no table of this adapter. {did_you_mean(table, tables)}'
            self._wrong((*path, "table"), text)
        return Names(known=tables.get(table), what=f"column of {table}", dotted=True, blank="")

    def _source_term(
        self, path: Path, name: str, text: str, entry: SourceEntry, entity: EntityRule, names: Names
    ) -> Term:
        at: Path = (*path, "fields", name)
        if name not in entity.fields:
            found = f'"{name}" is no field of {entity.name}. {did_you_mean(name, entity.fields)}'
            self._wrong(at, found, key=True)
        normalize = self.terms.normalize((*path, "normalize", name), entry.normalize.get(name, ()))
        field = entity.fields.get(name)
        return self.terms.term(at, name, text, names, normalize, of_type(field.type) if field else TOLD)

    def _missing(self, path: Path, entry: SourceEntry, entity: EntityRule) -> None:
        if MISTAKEN in entry.fields:
            return
        for field in entity.fields.values():
            if field.required and field.owner == self.says.system and field.name not in entry.fields:
                text = f'"{field.name}" is missing: {entity.name} requires it, and {field.owner} owns it'
                self._wrong((*path, "fields"), text, key=True)

    # -- destination

    def _destination(self, part: DestinationPart) -> DestinationRule:
        settings = self._settings("destination", part.adapter, part.settings)
        found: dict[str, DestinationEntity] = {}
        for name, entry in part.entities.items():
            path: Path = ("destination", "entities", name)
            self._systems((*path, "from"), entry.from_)
            self._systems((*path, "after"), entry.after)
            if entry.delete_after and entry.on_delete != "deactivate":
                text = "delete_after: is for what is switched off (expected on_delete: deactivate)"
                self._wrong((*path, "delete_after"), text)
            if entity := self._entity(path, name):
                found[name] = self._destination_entity(path, part, entry, entity)
        ordered = {name: found[name] for name in self._in_order(found)}
        shapes = [destination_shape(rule, self.entities[name]) for name, rule in ordered.items()]
        self._fit("destination", part.adapter, settings, shapes)
        return DestinationRule(
            adapter=part.adapter,
            settings=part.settings,
            entities=ordered,
            rate_per_s=part.rate,
            burst=part.burst,
            deadline_s=part.deadline,
            concurrent=part.concurrent,
            linger_s=part.linger,
            waits_at_most_s=part.waits_at_most,
            mode=part.mode,
            creates_per_hour=part.limits.creates,
            removes_per_hour=part.limits.removes,
            restores_per_hour=part.restores,
            purpose=part.purpose,
            agreement=part.agreement,
            compare_at=part.compare.removeprefix("daily "),
            schedule=Schedule(part.schedule.windows, part.schedule.cron),
            written=_hash_of(part),
        )

    def _systems(self, path: Path, names: tuple[str, ...]) -> None:
        for n, name in enumerate(names):
            if name not in self.systems:
                self._wrong((*path, n), f'"{name}" is no system here. {did_you_mean(name, self.systems)}')

    def _destination_entity(
        self, path: Path, part: DestinationPart, entry: DestinationEntry, entity: EntityRule
    ) -> DestinationEntity:
        names = record_names(entity, typed=entity.name in self.whole)
        terms: list[Term] = []
        for name, text in entry.fields.items():
            at: Path = (*path, "fields", name)
            if name.lower() == "password":
                self._wrong(at, "a password is never read or sent. Take it out", key=True)
            term = self.terms.term(at, name, text, names)
            self._may_leave(at, term, part, entity)
            terms.append(term)
        return DestinationEntity(
            entity=entity.name,
            table=entry.table or entity.name,
            id_field=entry.id,
            terms=tuple(terms),
            when=self.terms.program((*path, "when"), entry.when, names) if entry.when else None,
            when_text=entry.when or "",
            sources=entry.from_,
            after=entry.after,
            on_delete=entry.on_delete,
            delete_after_s=entry.delete_after or 0.0,
        )

    def _may_leave(self, path: Path, term: Term, part: DestinationPart, entity: EntityRule) -> None:
        """Sensitive fields go only where a purpose and an agreement are written down."""
        absent = " and ".join(f"{key}:" for key in ("purpose", "agreement") if not getattr(part, key))
        for name in used_fields(term):
            field = entity.fields.get(name)
            if absent and field and field.class_ == "sensitive":
                self._wrong(path, f'"{name}" is sensitive. destination: needs {absent}')


def _hash_of(part: DestinationPart) -> str:
    """Of what decides which records it is told of, and what of them."""
    return hashlib.blake2b(part.model_dump_json(include={"entities"}).encode(), digest_size=12).hexdigest()


def _wrong_after(folder: Folder) -> Iterator[Problem]:
    """A record that waits for a system that is not told of it, or for one that waits for this one."""
    waits: dict[str, dict[str, list[str]]] = {}
    for one in folder.systems:
        if one.says and one.says.destination:
            for entity, entry in one.says.destination.entities.items():
                waits.setdefault(entity, {})[one.says.system] = list(entry.after)
    whole = {one.says.system for one in folder.systems if one.says}
    for one in folder.systems:
        if one.says:
            yield from _circles_of(one, one.says.system, waits)
            yield from _not_told(one, one.says.system, waits, whole)


def _not_told(
    one: Written[SystemFile],
    system: str,
    waits: Mapping[str, Mapping[str, list[str]]],
    whole: Collection[str],
) -> Iterator[Problem]:
    for entity, told in waits.items():
        for n, name in enumerate(told.get(system, ())):
            if name in whole and name not in told:
                text = f'"{name}" is not told of {entity}, so there is nothing to wait for'
                yield one.document.problem(("destination", "entities", entity, "after", n), text)


def _circles_of(
    one: Written[SystemFile], system: str, waits: Mapping[str, Mapping[str, list[str]]]
) -> Iterator[Problem]:
    for entity, next_of in waits.items():
        if system in next_of and (way := cycle(system, next_of)):
            text = f"after: in a circle: {' → '.join(way)}"
            yield one.document.problem(("destination", "entities", entity, "after"), text)
