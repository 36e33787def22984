"""A system's fields to the hub's, and back. Each entity's mapping is compiled once into functions.

Columns are read directly; expressions get only the names they use, and remember their answers to values that
come again (a role, a grade). No error carries a value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from bus.messages import Record, Value
from router.core.rules import DestinationEntity, EntityRule, FieldRule, Program, SourceEntity, Term, Type
from router.core.spelling import NORMALS, normal_id, spelled
from router.core.values import EXPECTED, Parse, coerce, normal_date, parser

Row = Mapping[str, str]
Reference = Callable[[str], str]
"""From a record key to what a destination calls that record."""

T = TypeVar("T")
ToEvent = Callable[[Row], tuple[str, dict[str, Value]] | None]

REMEMBERED_MAX: Final = 1024
SHAPES_MAX: Final = 64
"""A system sends few kinds of partial news: those whose functions are kept."""
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What no id may hold: keys made of it would break lines of logs, listings and files."""
BUILT_IN: Final = ("key", "id", "source")
"""What a destination's expression may name beside the entity's fields: the record's key, the part of it
after the slash, and the system that the record came from."""


class Invalid(Exception):
    """A row or record that cannot be mapped. `reason` never holds a value."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Outgoing(NamedTuple):
    """How a destination is told about an entity, compiled.

    `wants(record, source)`: does it get this record, whose existence came from `source`?
    `fields(record, source, reference)`: what it is told. Both raise Invalid.
    """

    wants: Callable[[Record, str], bool]
    fields: Callable[[Record, str, Reference], dict[str, Value]]


@lru_cache(8_192)
def id_of(key: str) -> str:
    """The hub's id of a record: its key without the entity.

    >>> id_of("student/1001")
    '1001'
    """
    return key.partition("/")[2]


# -- from a system


def compile_source(rule: SourceEntity, entity: EntityRule, zone: tzinfo = UTC) -> ToEvent:
    """Make the function from a row to (local_id, fields), or None where `when` is false.

    A reference stays the system's own id. Times without a zone are in `zone`. The function raises Invalid.
    """
    id_field, normal = rule.id_field, normal_id(rule)
    wanted = _condition(rule.when) if rule.when else None
    columns = [
        (term.field, term.column, _parse(term, entity.fields[term.field], zone))
        for term in rule.terms
        if not term.program
    ]
    computed = [
        (term.field, _computed(term, term.program, entity.fields[term.field], zone))
        for term in rule.terms
        if term.program
    ]
    required = tuple(term.field for term in rule.terms if entity.fields[term.field].required)

    def to_event(row: Row) -> tuple[str, dict[str, Value]] | None:
        if wanted is not None and not wanted(row):
            return None
        local_id = row.get(id_field)
        if not local_id or local_id.isspace():
            raise Invalid(id_field, "blank (expected the record's id)")
        if not local_id.isprintable() and _CONTROL.search(local_id):
            raise Invalid(id_field, "a line break or another control character in it (expected an id)")
        if normal is not None:
            local_id = normal(local_id)
        found: dict[str, Value] = {}
        name = ""
        try:
            for name, column, parse in columns:
                text = row.get(column)
                if not text or text.isspace():
                    found[name] = None
                else:
                    found[name] = text if parse is None else parse(text)
        except ValueError:
            raise Invalid(name, f"not {EXPECTED[entity.fields[name].type]}") from None
        for name, compute in computed:
            found[name] = compute(row)
        for name in required:
            if found[name] is None:
                raise Invalid(name, "blank (a value is required)")
        return local_id, found

    return to_event


def compile_said(rule: SourceEntity, entity: EntityRule, zone: tzinfo = UTC) -> ToEvent:
    """As `compile_source`, for what a system says of a part of a record: a column that is not there is as it
    was. So a field is found only if all that it is made of is there; a blank column has no value.

    What `when` reads must be there. The function raises Invalid.
    """
    made_of = {term.field: _columns(term) for term in rule.terms}

    @lru_cache(SHAPES_MAX)
    def for_fields(fields: tuple[str, ...]) -> ToEvent:
        terms = tuple(term for term in rule.terms if term.field in fields)
        return compile_source(replace(rule, terms=terms), entity, zone)

    def to_event(row: Row) -> tuple[str, dict[str, Value]] | None:
        for name in unsaid(rule, row):
            raise Invalid(name, "is not there (it tells which records are meant)")
        fields = tuple([field for field, columns in made_of.items() if all(name in row for name in columns)])
        return for_fields(fields)(row)

    return to_event


def unsaid(rule: SourceEntity, row: Row) -> tuple[str, ...]:
    """The columns that `when` reads and a row does not have: whether it is of this entity cannot be told."""
    return tuple(name for name in rule.when.variables if name not in row) if rule.when else ()


def _columns(term: Term) -> tuple[str, ...]:
    return term.program.variables if term.program else (term.column,)


def _parse(term: Term, field: FieldRule, zone: tzinfo) -> Parse | None:
    parse = parser(field.type, zone)
    return _normalized(term.normalize, parse) if term.normalize else parse


def _normalized(steps: tuple[str, ...], parse: Parse | None) -> Parse:
    changes = [NORMALS.get(step) or _date_in(step) for step in steps]

    def read(text: str) -> Value:
        for change in changes:
            text = change(text)
        return (parse(text) if parse else text) if text else None

    return read


def _date_in(format_: str) -> Callable[[str], str]:
    return lambda text: normal_date(text, format_)


def _computed(term: Term, program: Program, field: FieldRule, zone: tzinfo) -> Callable[[Row], Value]:
    run = _remembering(program, lambda value: _typed(term, field, value, zone))
    names = program.variables

    def compute(row: Row) -> Value:
        return run(tuple([row.get(name, "") for name in names]), term.field)

    return compute


def _typed(term: Term, field: FieldRule, value: object, zone: tzinfo) -> Value:
    try:
        if isinstance(value, str) and term.normalize and value.strip():
            return _normalized(term.normalize, parser(field.type, zone))(value)
        if isinstance(value, list | tuple) and term.normalize:
            value = [spelled(each, term.normalize) if isinstance(each, str) else each for each in value]
        return coerce(field.type, value, zone)
    except ValueError:
        raise Invalid(term.field, f"the expression did not give {EXPECTED[field.type]}") from None


def _condition(program: Program) -> Callable[[Row], bool]:
    run = _remembering(program, _truth)
    names = program.variables

    def wanted(row: Row) -> bool:
        return run(tuple([row.get(name, "") for name in names]), "when")

    return wanted


# -- to a system


def compile_destination(rule: DestinationEntity, entity: EntityRule) -> Outgoing:
    """Make the functions from a record to what the system is told.

    In an expression a list without a value is [] and anything else without one is null. A reference is what
    the destination calls its target; in `when` it is the target's id in the hub.
    """
    return Outgoing(_wants(rule, entity), _fields(rule, entity))


def _wants(rule: DestinationEntity, entity: EntityRule) -> Callable[[Record, str], bool]:
    sources = frozenset(rule.sources)
    if rule.when is None:
        return lambda record, source: not sources or source in sources
    run = _remembering(rule.when, _truth)
    read = _reader(rule.when, entity)

    def wants(record: Record, source: str) -> bool:
        return (not sources or source in sources) and run(read(record, source, id_of), "when")

    return wants


def _fields(
    rule: DestinationEntity, entity: EntityRule
) -> Callable[[Record, str, Reference], dict[str, Value]]:
    plain: list[tuple[str, str]] = []
    referring: list[tuple[str, str]] = []
    computed: list[tuple[str, Callable[[Record, str, Reference], Value]]] = []
    for term in rule.terms:
        if term.program is None and term.column not in BUILT_IN and not _is_reference(entity, term.column):
            plain.append((term.field, term.column))
        elif term.program is None and term.column not in BUILT_IN:
            referring.append((term.field, term.column))
        else:
            computed.append((term.field, _told(term, entity)))

    def fields(record: Record, source: str, reference: Reference) -> dict[str, Value]:
        get = record.values.get
        told: dict[str, Value] = {name: get(field) for name, field in plain}
        for name, field in referring:
            value = get(field)
            if type(value) is str:
                told[name] = reference(value) if value else None
            elif type(value) is tuple:
                told[name] = tuple([reference(key) for key in value])
            else:
                told[name] = None
        for name, compute in computed:
            told[name] = compute(record, source, reference)
        return told

    return fields


def _told(term: Term, entity: EntityRule) -> Callable[[Record, str, Reference], Value]:
    if term.program is None:
        return _named(term.column)
    run = _remembering(term.program, lambda value: _plain(term, value))
    read = _reader(term.program, entity)

    def compute(record: Record, source: str, reference: Reference) -> Value:
        return run(read(record, source, reference), term.field)

    return compute


def _named(name: str) -> Callable[[Record, str, Reference], Value]:
    """One name, built in or a reference."""
    if name == "key":
        return lambda record, source, reference: record.key
    if name == "id":
        return lambda record, source, reference: id_of(record.key)
    if name == "source":
        return lambda record, source, reference: source

    def referred(record: Record, source: str, reference: Reference) -> Value:
        value = record.values.get(name)
        if isinstance(value, tuple):
            return tuple(reference(key) for key in value)
        return reference(value) if isinstance(value, str) and value else None

    return referred


def _reader(program: Program, entity: EntityRule) -> Callable[[Record, str, Reference], tuple[Value, ...]]:
    """The values of a program's names, in order."""
    named = [
        _named(name) if name in BUILT_IN or _is_reference(entity, name) else _field(name, entity)
        for name in program.variables
    ]
    several = [_is_several(entity, name) for name in program.variables]

    def read(record: Record, source: str, reference: Reference) -> tuple[Value, ...]:
        values = [get(record, source, reference) for get in named]
        return tuple([() if v is None and many else v for v, many in zip(values, several, strict=True)])

    return read


def _field(name: str, entity: EntityRule) -> Callable[[Record, str, Reference], Value]:
    return lambda record, source, reference: record.values.get(name)


def _is_reference(entity: EntityRule, name: str) -> bool:
    return name in entity.fields and entity.fields[name].type in (Type.REFERENCE, Type.REFERENCES)


def _is_several(entity: EntityRule, name: str) -> bool:
    return name in entity.fields and entity.fields[name].type in (Type.LIST, Type.REFERENCES)


def _plain(term: Term, value: object) -> Value:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise Invalid(term.field, "the expression gave neither text, number, boolean nor a list of text")


def told_fields(rule: DestinationEntity, entity: EntityRule) -> tuple[str, ...]:
    """The hub's fields that a destination is told of, directly or through an expression."""
    names = [
        name for term in rule.terms for name in (term.program.variables if term.program else (term.column,))
    ]
    return tuple(name for name in dict.fromkeys(names) if name in entity.fields)


def told_as_heard(rule: DestinationEntity, source: SourceEntity, entity: EntityRule) -> dict[str, str]:
    """Of a system that tells us too: its fields of which both sides say the same, so that what it last said
    is what stands there; with the hub's field of each.
    """
    heard = {term.column: term.field for term in source.terms if not term.program}
    return {
        term.field: term.column
        for term in rule.terms
        if not term.program
        and heard.get(term.field) == term.column
        and entity.fields[term.column].type in (Type.TEXT, Type.BOOLEAN)
    }


# -- both ways


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Invalid("when", "the expression did not give true or false")
    return value


def _remembering(program: Program, finish: Callable[[object], T]) -> Callable[[tuple[Value, ...], str], T]:
    """Run a program on the values of its names, in their order; the first answers are kept.

    A name's values are all of one type, so that True and 1 do not meet as keys.
    """
    names = program.variables
    known: dict[tuple[Value, ...], T] = {}

    def run(values: tuple[Value, ...], field: str) -> T:
        if values in known:
            return known[values]
        try:
            answer = program.execute(dict(zip(names, values, strict=True)))
        except Exception as error:  # cel raises many kinds; the text of each may hold a value
            raise Invalid(field, f"the expression has no value here ({type(error).__name__})") from None
        result = finish(answer)
        if len(known) < REMEMBERED_MAX:
            known[values] = result
        return result

    return run
