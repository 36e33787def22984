"""What an adapter knows of a mapping without asking anybody, as problems at their places in the file."""

import difflib
from collections.abc import Iterator, Mapping, Sequence

import adapters
from bus.adapter import EntityShape, Misfit, Settings
from router.config.positions import Document, Path, Problem
from router.config.salvage import MISTAKEN
from router.config.terms import used_fields
from router.config.validation import NEAR, did_you_mean
from router.core.rules import SourceEntity


def misfits(
    document: Document,
    side: str,
    adapter: str,
    settings: Settings | None,
    shapes: Sequence[EntityShape],
    read: Mapping[str, SourceEntity] | None = None,
) -> Iterator[Problem]:
    """Raises ConfigError for an adapter that cannot be loaded. `read`: how a source's entities are read."""
    found = [each for each in adapters.misfits(side, adapter, settings, shapes) if MISTAKEN not in each.at]
    meant = {(each.at[:-1], near) for each in found for near in _near(each)}
    mistaken = {shape.entity for shape in shapes if MISTAKEN in dict(shape.fields)}
    for each in found:
        absent = each.at[2:] == ("fields",)
        if absent and ((each.at, each.word) in meant or each.at[1] in mistaken):
            continue  # it is there, misspelt, and its name is called a mistake already
        text = f"{each.text}. {did_you_mean(each.word, each.known)}" if each.known else each.text
        for path, key in _places(each, read or {}):
            yield document.problem((side, *path), text, key=key)


def _near(misfit: Misfit) -> list[str]:
    return difflib.get_close_matches(misfit.word, misfit.known, n=1, cutoff=NEAR)


def _places(misfit: Misfit, read: Mapping[str, SourceEntity]) -> Iterator[tuple[Path, bool]]:
    """Where it stands, and whether that is a key."""
    if misfit.at[0] != "entities" or misfit.at[2] != "columns":
        is_value = misfit.at[2:] in (("table",), ("id",), ("on_delete",)) or misfit.at == ("settings", "url")
        yield misfit.at, not is_value
        return
    _, entity, _, name = misfit.at
    at, rule = ("entities", entity), read[entity]
    if name == rule.id_field:
        yield (*at, "id"), False
    if name == rule.hub_id_field:
        yield (*at, "hub_id"), False
    if rule.when and name in rule.when.variables:
        yield (*at, "when"), False
    for term in rule.terms:
        if name in used_fields(term):
            yield (*at, "fields", term.field), False
