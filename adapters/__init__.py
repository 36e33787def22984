"""Kinds of foreign systems: one file each, loaded by name when a configuration asks for it.

An adapter for a new protocol is one file here and one line in ADAPTERS. Its classes are made as
`Class(settings, surroundings)`; what they promise stands in `bus/adapter.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, cast

from pydantic import ValidationError

from bus.adapter import Destination, EntityShape, Listener, Misfit, Settings, Source, Surroundings
from bus.errors import ConfigError


class Side(NamedTuple):
    """Where an adapter's class and its settings model stand, as "module:Class"."""

    adapter: str
    settings: str


class Adapter(NamedTuple):
    """One kind of system: what it can be."""

    source: Side | None = None
    destination: Side | None = None


ADAPTERS: Final[Mapping[str, Adapter]] = {
    "delimited": Adapter(
        source=Side("adapters.delimited:Source", "adapters.delimited:SourceSettings"),
        destination=Side("adapters.delimited:Destination", "adapters.delimited:DestinationSettings"),
    ),
    "http": Adapter(destination=Side("adapters.http:Destination", "adapters.http:Settings")),
    "oneroster_csv": Adapter(
        source=Side("adapters.oneroster_csv:Source", "adapters.oneroster_csv:SourceSettings"),
        destination=Side("adapters.oneroster_csv:Destination", "adapters.oneroster_csv:DestinationSettings"),
    ),
    "scim": Adapter(
        source=Side("adapters.scim:Source", "adapters.scim:SourceSettings"),
        destination=Side("adapters.scim:Destination", "adapters.scim:Settings"),
    ),
    "sql": Adapter(destination=Side("adapters.sql:Destination", "adapters.sql:Settings")),
    "webhook": Adapter(source=Side("adapters.webhook:Source", "adapters.webhook:SourceSettings")),
}


def names(side: str) -> tuple[str, ...]:
    """The adapters that can be a "source", or a "destination"."""
    return tuple(name for name, adapter in ADAPTERS.items() if getattr(adapter, side))


def adapter_class(side: str, name: str) -> type[Any]:
    """The class of an adapter. Raises ConfigError."""
    return _load(_side(side, name).adapter)


def settings_class(side: str, name: str) -> type[Settings]:
    """What an adapter's `settings:` may say. Raises ConfigError."""
    return cast(type[Settings], _load(_side(side, name).settings))


def misfits(
    side: str, name: str, settings: Settings | None, shapes: Sequence[EntityShape]
) -> Iterable[Misfit]:
    """What of a mapping cannot be, as far as the adapter knows without asking anybody. Raises ConfigError."""
    known: Callable[[Settings | None, Sequence[EntityShape]], Iterable[Misfit]] | None
    known = getattr(adapter_class(side, name), "misfits", None)
    return known(settings, shapes) if known else ()


def make_source(name: str, settings: Mapping[str, object], surroundings: Surroundings) -> Source | Listener:
    """A source of this kind. Raises ConfigError."""
    return cast(Source | Listener, _make("source", name, settings, surroundings))


def make_destination(name: str, settings: Mapping[str, object], surroundings: Surroundings) -> Destination:
    """A destination of this kind. Raises ConfigError."""
    return cast(Destination, _make("destination", name, settings, surroundings))


def _make(side: str, name: str, settings: Mapping[str, object], surroundings: Surroundings) -> object:
    try:
        checked = settings_class(side, name).model_validate(dict(settings))
    except ValidationError as error:
        wrong = ", ".join(".".join(str(part) for part in one["loc"]) for one in error.errors())
        what = f"{surroundings.system}: settings of {name} are wrong: {wrong}. See: yellowbus check"
        raise ConfigError(what) from None  # pydantic's text holds the values, and one may be a secret
    return adapter_class(side, name)(checked, surroundings)


def _side(side: str, name: str) -> Side:
    adapter = ADAPTERS.get(name, Adapter())
    found: Side | None = getattr(adapter, side)
    if found is None:
        raise ConfigError(f'adapter "{name}" is no {side} (expected one of: {", ".join(names(side))})')
    return found


def _load(reference: str) -> type[Any]:
    module, _, name = reference.partition(":")
    try:
        return cast(type[Any], getattr(import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{reference} cannot be loaded: {error}. Install yellowbus again.") from None
