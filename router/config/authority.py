"""`owner:` of fields, groups and entities: one system, several in order of priority, dated, during a term."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from router.config.documents import Strict, Texts
from router.config.positions import Document, Path, Problem
from router.config.validation import did_you_mean
from router.core.rules import EntityRule, Period, Type
from router.spans import BEGIN, END

Ties = Literal["priority", "latest", "ask"]


class OwnerPeriod(Strict):
    """Who has authority for a time. Without times: always."""

    system: Texts = Field(description="The system, or several in order of priority")
    from_: str = Field(default="", alias="from", description="From this date on (local midnight)")
    until: str = Field(default="", description="Before this date (local midnight)")
    during: str = Field(default="", description="While the term lasts that this path leads to: class.terms")


def _periods(value: object) -> object:
    """A system; several; or a list of periods: all as a list of periods."""
    if isinstance(value, str):
        return [{"system": [value]}] if value else []
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return [{"system": value}]
    return value


Owner = Annotated[
    tuple[OwnerPeriod, ...],
    BeforeValidator(_periods, json_schema_input_type=str | list[str] | list[OwnerPeriod]),
]


def systems_of(owner: Sequence[OwnerPeriod]) -> tuple[str, ...]:
    """All that may have authority at some time, each once."""
    return tuple(dict.fromkeys(system for period in owner for system in period.system))


def sole(owner: Sequence[OwnerPeriod]) -> str:
    """The system that always has authority alone; '' if it is not so simple."""
    if len(owner) == 1 and len(owner[0].system) == 1 and not _is_timed(owner[0]):
        return owner[0].system[0]
    return ""


def periods(owner: Sequence[OwnerPeriod], zone: tzinfo) -> tuple[Period, ...]:
    """The rules of all others. Dates that are none are left out: `wrong_owner` has told of them."""
    if sole(owner):
        return ()
    return tuple(
        Period(
            systems=each.system,
            from_ms=_instant_ms(each.from_, zone),
            until_ms=_instant_ms(each.until, zone),
            during=each.during,
        )
        for each in owner
    )


def _is_timed(period: OwnerPeriod) -> bool:
    return bool(period.from_ or period.until or period.during)


def _instant_ms(text: str, zone: tzinfo) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp() * 1000)


def wrong_owner(
    document: Document, at: Path, what: str, owner: Sequence[OwnerPeriod], systems: tuple[str, ...]
) -> Iterator[Problem]:
    """Systems that are none, times that are none."""
    for n, period in enumerate(owner):
        place = (*at, n)
        for i, system in enumerate(period.system):
            if system not in systems:
                text = f'{what}: "{system}" is no system here. {did_you_mean(system, systems)}'
                # written as a name, as a list of names, or as a period's `system:`
                yield document.problem((*place, "system") if _is_timed(period) else (*at, i), text)
        for key, text in (("from", period.from_), ("until", period.until)):
            if text and _instant_ms(text, UTC) is None:
                yield document.problem((*place, key), f'"{text}" is no date (expected one as in 2026-08-15)')


def wrong_during(
    document: Document, at: Path, owner: Sequence[OwnerPeriod], entity: str, rules: Mapping[str, EntityRule]
) -> Iterator[Problem]:
    """Paths that lead to nothing with a begin and an end."""
    for n, period in enumerate(owner):
        if period.during and (why := _no_way(period.during, entity, rules)):
            yield document.problem((*at, n, "during"), f'during: "{period.during}": {why}')


def no_day(path: str, entity: str, rules: Mapping[str, EntityRule]) -> str:
    """Why a path does not lead to a date; '' : it does."""
    *steps, last = path.split(".")
    targets = _targets(steps, entity, rules)
    if isinstance(targets, str):
        return targets
    for target in targets:
        field = rules[target].fields.get(last) if target in rules else None
        if field is None or field.type is not Type.DATE:
            return f'{target} has no date "{last}" (expected one, as in class.terms.endDate)'
    return ""


def _no_way(path: str, entity: str, rules: Mapping[str, EntityRule]) -> str:
    targets = _targets(path.split("."), entity, rules)
    if isinstance(targets, str):
        return targets
    for target in targets:
        fields: Mapping[str, Any] = rules[target].fields if target in rules else {}
        if BEGIN not in fields or END not in fields:
            return f"{target} has no {BEGIN} and {END}"
    return ""


def _targets(steps: Sequence[str], entity: str, rules: Mapping[str, EntityRule]) -> tuple[str, ...] | str:
    """The entities that a path of references leads to; or in words why it leads nowhere."""
    targets: tuple[str, ...] = (entity,)
    for step in steps:
        found: tuple[str, ...] = ()
        for target in targets:
            field = rules[target].fields.get(step) if target in rules else None
            if field is None or field.type not in (Type.REFERENCE, Type.REFERENCES):
                return (
                    f'"{step}" is no reference of {target} (expected a path of references, as in class.terms)'
                )
            found += field.to
        targets = found
    return targets
