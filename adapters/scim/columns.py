"""What is read of an account or a group, as text by column, named as in the destination's mapping. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from adapters.scim.attributes import Json, attribute, get, look
from adapters.scim.wire import GROUPS, USERS
from bus.adapter import EntityShape
from bus.errors import ConfigError

Read = Callable[[Json], Any]

_OWN: Final = ("id", "externalId")
_NEVER: Final = frozenset({"meta", "schemas", "password", "groups"})
_OF_GROUPS: Final = (*_OWN, "displayName", "members")


def columns_of(shapes: Iterable[EntityShape], system: str) -> dict[str, dict[str, Read]]:
    """By resource what to read of each: column -> how. Raises ConfigError."""
    found: dict[str, dict[str, Read]] = {}
    for shape in shapes:
        where = f"{system}: {shape.entity}"
        resource = next((name for name in (USERS, GROUPS) if name == shape.table), None)
        if resource is None:
            raise ConfigError(f"{where}: {shape.table} is not read here (Users or Groups expected)")
        read = _of_account if resource == USERS else _of_group
        found.setdefault(resource, {}).update({name: read(name, where) for name, _ in shape.fields})
    return found


def _of_account(name: str, where: str) -> Read:
    if name in _OWN:
        return lambda account: get(account, name)
    if name.partition(".")[0].lower() in _NEVER:
        raise ConfigError(f"{where}: {name} is not read (id, externalId, userName, emails.work, … expected)")
    place = attribute(name, where)
    return lambda account: look(account, place)


def _of_group(name: str, where: str) -> Read:
    if name not in _OF_GROUPS:
        raise ConfigError(f"{where}: {name} is not read of a group ({', '.join(_OF_GROUPS)} expected)")
    if name == "members":
        return lambda group: ",".join(str(get(each, "value")) for each in get(group, name) or ())
    return lambda group: get(group, name)


def texts(resource: Json, columns: Mapping[str, Read]) -> dict[str, str]:
    """A row: each column's text, '' where there is none.

    >>> texts({"userName": "ada", "active": False}, columns_of([], "idp"))
    {}
    """
    return {name: _text(read(resource)) for name, read in columns.items()}


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping | list):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
