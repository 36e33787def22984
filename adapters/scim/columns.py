"""What is read of an account or a group, as text by column, named as in the destination's mapping. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from adapters.scim.attributes import USUAL, Json, NoAttribute, attribute, get, look
from adapters.scim.wire import GROUPS, USERS
from bus.adapter import EntityShape, Misfit

Read = Callable[[Json], Any]

_OWN: Final = ("id", "externalId")
_NEVER: Final = frozenset({"meta", "schemas", "password", "groups"})
_OF_GROUPS: Final = (*_OWN, "displayName", "members")


def columns_of(shapes: Iterable[EntityShape]) -> dict[str, dict[str, Read]]:
    """By resource what to read of each: column -> how. Raises NoAttribute."""
    found: dict[str, dict[str, Read]] = {}
    for shape in shapes:
        read = _of_account if shape.table == USERS else _of_group
        found.setdefault(shape.table, {}).update({name: read(name) for name, _ in shape.fields})
    return found


def misfits(shapes: Iterable[EntityShape]) -> Iterator[Misfit]:
    """Resources that are not read, and columns that they do not have."""
    for shape in shapes:
        at = ("entities", shape.entity)
        if shape.table not in (USERS, GROUPS):
            text = f"{shape.table} is not read here (Users or Groups expected)"
            yield Misfit((*at, "table"), text, shape.table, (USERS, GROUPS))
            continue
        known = (*_OWN, *USUAL) if shape.table == USERS else _OF_GROUPS
        for name, type_ in shape.fields:
            try:
                columns_of([shape._replace(fields=((name, type_),))])
            except NoAttribute as error:
                yield Misfit((*at, "columns", name), str(error), name, known)


def _of_account(name: str) -> Read:
    if name in _OWN:
        return lambda account: get(account, name)
    if name.partition(".")[0].lower() in _NEVER:
        raise NoAttribute(f"{name} is not read")
    place = attribute(name)
    return lambda account: look(account, place)


def _of_group(name: str) -> Read:
    if name not in _OF_GROUPS:
        raise NoAttribute(f"{name} is not read of a group")
    if name == "members":
        return lambda group: ",".join(str(get(each, "value")) for each in get(group, name) or ())
    return lambda group: get(group, name)


def texts(resource: Json, columns: Mapping[str, Read]) -> dict[str, str]:
    """A row: each column's text, '' where there is none.

    >>> texts({"userName": "ada", "active": False}, columns_of([]))
    {}
    """
    return {name: _text(read(resource)) for name, read in columns.items()}


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping | list):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
