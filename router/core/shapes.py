"""What an adapter is asked for: the columns it has to read, or the fields it is told, with their types."""

from typing import Final

from bus.adapter import EntityShape
from router.core.rules import DestinationEntity, EntityRule, SourceEntity, Type

_TOLD: Final = {
    Type.REFERENCE: Type.TEXT,
    Type.REFERENCES: Type.LIST,
    Type.DATETIME: Type.TEXT,
}


def source_shape(rule: SourceEntity, entity: EntityRule) -> EntityShape:
    """The columns that a source has to read for an entity: those that its mapping names.

    A column is of its field's type if nothing but that field is made of it: an expression reads text.
    """
    ids = [rule.id_field, *([rule.hub_id_field] if rule.hub_id_field else [])]
    uses = [(name, Type.TEXT.value) for name in ids]
    for term in rule.terms:
        if term.program:
            uses += [(name, Type.TEXT.value) for name in term.program.variables]
        else:
            uses.append((term.column, Type.TEXT.value if term.normalize else _told_type(term.field, entity)))
    uses += [(name, Type.TEXT.value) for name in (rule.when.variables if rule.when else ())]
    types: dict[str, str] = {}
    for name, type_ in uses:
        types[name] = type_ if types.get(name, type_) == type_ else Type.TEXT.value
    return EntityShape(rule.entity, rule.table, rule.id_field, tuple(types.items()))


def destination_shape(rule: DestinationEntity, entity: EntityRule) -> EntityShape:
    """The fields that a destination is told, with their types."""
    fields = tuple((term.field, _told_type(term.column, entity)) for term in rule.terms)
    return EntityShape(rule.entity, rule.table, rule.id_field, fields, rule.on_delete == "deactivate")


def _told_type(name: str, entity: EntityRule) -> str:
    field = entity.fields.get(name)
    return _TOLD.get(field.type, field.type).value if field else Type.TEXT.value
