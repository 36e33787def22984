"""A delivery's fields as the cells of a row, and why they may not be."""

from collections.abc import Mapping

from adapters.files.change import Unwritable, encodable
from bus.messages import Fields, Value

from .tables import NEVER_READ, ROLE_COLUMNS, TABLES


def columns(version: str, table: str) -> frozenset[str]:
    """What may be mapped for a table of this version. Raises KeyError."""
    described = TABLES[version][table]
    extra = ROLE_COLUMNS if table == "users" else ()
    return frozenset({*described.columns, *extra} - {"status", "dateLastModified", *NEVER_READ})


def required(version: str, table: str, *, roles: bool) -> frozenset[str]:
    """What must not be blank. `roles`: the users of 1.2 carry role and schools too."""
    extra = ROLE_COLUMNS if table == "users" and roles else ()
    return TABLES[version][table].required | {*extra}


def cells_of(
    table: str, id_: str, fields: Fields, allowed: frozenset[str], needed: frozenset[str]
) -> dict[str, str]:
    """The cells that are not blank. Raises Unwritable.

    >>> columns = frozenset({"sourcedId", "name", "identifier"})
    >>> cells_of("orgs", "7", {"name": "Elm", "identifier": None}, columns, frozenset({"name"}))
    {'name': 'Elm', 'sourcedId': '7'}
    """
    cells = {}
    for name, value in fields.items():
        text = value if isinstance(value, str) and value.isprintable() else _text(name, value)
        if text:
            cells[name] = text
    cells.setdefault("sourcedId", id_)
    if not cells.keys() <= allowed:
        raise Unwritable(f"{table} has no column {', '.join(sorted(cells.keys() - allowed))}")
    if not needed <= cells.keys():
        raise Unwritable(f"{table}: blank, but required: {', '.join(sorted(needed - cells.keys()))}")
    return cells


def _text(name: str, value: Value) -> str:
    if isinstance(value, str):
        text = value
    elif value is None:
        return ""
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif isinstance(value, tuple):
        if any("," in item for item in value):
            raise Unwritable(f"{name}: an item has a comma in it, and commas part the items")
        text = ",".join(value)
    else:
        return str(value)
    if "\0" in text or (not text.isprintable() and not encodable(text)):
        raise Unwritable(f"{name}: a character that no file in UTF-8 can hold")
    return text


def roles_of(cells: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The rows of roles.csv of a user, by their sourcedId: the first school is the primary one."""
    user, role = cells["sourcedId"], cells.get("role", "")
    orgs = [org for org in cells.get("orgSourcedIds", "").split(",") if org]
    return {
        f"{user}:{org}": {
            "sourcedId": f"{user}:{org}",
            "userSourcedId": user,
            "roleType": "secondary" if place else "primary",
            "role": role,
            "orgSourcedId": org,
        }
        for place, org in enumerate(dict.fromkeys(orgs))
    }
