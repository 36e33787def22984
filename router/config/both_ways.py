"""What the systems' files add to an entity's rules: who tells and is told of it, in which form, how late."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bus.messages import Value
from router.config.documents import SystemFile
from router.core.rules import EntityRule, Normal, SourceRule, SystemRule
from router.core.spelling import NORMALIZE, NORMALS


def with_systems(
    rule: EntityRule, systems: Mapping[str, SystemRule], told: Sequence[SystemFile]
) -> EntityRule:
    """The entity's rule with what its systems say of themselves."""
    name = rule.name
    both = {
        each.name
        for each in systems.values()
        if each.source
        and each.destination
        and name in each.source.entities
        and name in each.destination.entities
    }
    named = {
        s.name: s.source.entities[name] for s in systems.values() if s.source and name in s.source.entities
    }
    parts = {says.system: says.destination for says in told if says.destination}
    return replace(
        rule,
        two_way=frozenset(both),
        normal={each.name: found for each in systems.values() if (found := _forms(each, name))},
        skews_ms={s: _ms(systems[s].source) for s in both if _ms(systems[s].source)},
        lags_s={s: parts[s].takes_up_within for s in both if parts[s].takes_up_within},
        hub_ids=frozenset(system for system, rule in named.items() if rule.hub_id_field),
        leaves=frozenset(s for s in both if parts[s].entities[name].on_refused == "leave"),
    )


def _ms(source: SourceRule | None) -> int:
    return int(source.skew_s * 1000) if source else 0


def _forms(system: SystemRule, entity: str) -> dict[str, Normal]:
    """How a system writes the fields that it normalises itself: trimmed, in lower or upper case."""
    if system.source is None or entity not in system.source.entities:
        return {}
    found = {}
    for term in system.source.entities[entity].terms:
        steps = tuple(step for step in term.normalize if step in NORMALIZE)
        if steps and not term.program:
            found[term.field] = _form(steps)
    return found


def _form(steps: tuple[str, ...]) -> Callable[[Value], Value]:
    def write(value: Value) -> Value:
        if isinstance(value, str):
            for step in steps:
                value = NORMALS[step](value)
        return value

    return write
