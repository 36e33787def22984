"""What of a mapping an account has: where each field goes, and what is wrong with it. Pure."""

from collections.abc import Iterable, Iterator

from adapters.scim.attributes import USER_NAME, USUAL, Attribute, NoAttribute, attribute
from adapters.scim.wire import USERS
from bus.adapter import EntityShape, Misfit


def places(shape: EntityShape) -> dict[str, Attribute | None]:
    """Where each field goes; None for the one that names the record there, which goes nowhere.

    Raises NoAttribute.
    """
    return {
        field: None if field == shape.id_field and field in ("id", "externalId") else attribute(field)
        for field, _ in shape.fields
    }


def misfits(shapes: Iterable[EntityShape]) -> Iterator[Misfit]:
    """Resources and attributes that there are not, a list where one value goes, an account without a name."""
    for shape in shapes:
        at = ("entities", shape.entity)
        if shape.table.lower() not in ("", USERS.lower()):
            text = f"{shape.table} is no resource that can be told (Users expected)"
            yield Misfit((*at, "table"), text, shape.table, (USERS,))
        yield from _misfits_of(shape, at)
        if USER_NAME.name.lower() not in {field.lower() for field, _ in shape.fields}:
            text = f'"{USER_NAME.name}" is missing: an account requires it'
            yield Misfit((*at, "fields"), text, USER_NAME.name)


def _misfits_of(shape: EntityShape, at: tuple[str, ...]) -> Iterator[Misfit]:
    for field, type_ in shape.fields:
        one = shape._replace(fields=((field, type_),))
        try:
            places(one)
        except NoAttribute as error:
            yield Misfit((*at, "fields", field), str(error), field, USUAL)
            continue
        if type_ == "list":
            text = f"{field}: a list cannot stand in an attribute with one value"
            yield Misfit((*at, "fields", field), text)
