"""Has an expression ever a value of use? It is tried on values of the types that its names have."""

import itertools
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from router.config.expressions import Expression
from router.core.rules import Type
from router.core.values import EXPECTED, coerce

Sample = dict[str, object]

TRIES_MAX: Final = 400
_LITERAL: Final = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")
_TEXTS: Final = ("A", "1", "2026-11-24", "2026-11-24T15:04:05Z", "1.5", "true", "a.b@c.d", "A B C")
_OF_TYPE: Final[Mapping[Type, tuple[object, ...]]] = {
    Type.INTEGER: (1, 0, 12),
    Type.NUMBER: (1.5, 0.0, 12.0),
    Type.BOOLEAN: (True, False),
    Type.DATE: ("2026-11-24", "2012-01-31"),
    Type.DATETIME: ("2026-11-24T15:04:05Z", "2012-01-31T00:00:00Z"),
}
_SEVERAL: Final = (Type.LIST, Type.REFERENCES)
_WRONG_TYPE: Final = ("Undefined variable or function", "TypeError:", "AttributeError:", "not a valid regex")
"""How cel says so of a function; names are looked up before, so they are not what it misses."""


class Wanted(NamedTuple):
    """What kind of answer an expression has to give: is one of it, and what a person calls it."""

    accepts: Callable[[object], bool]
    name: str


def _is_told(answer: object) -> bool:
    if isinstance(answer, list | tuple):
        return all(isinstance(item, str) for item in answer)
    return isinstance(answer, str | int | float | bool)


TRUTH: Final = Wanted(lambda answer: isinstance(answer, bool), "true or false")
TOLD: Final = Wanted(_is_told, "text, a number, true or false, or a list of text")


def of_type(type_: Type) -> Wanted:
    """What can be a field's value. Text may be: it depends on the text."""

    def accepts(answer: object) -> bool:
        try:
            return isinstance(answer, str) or coerce(type_, answer) is not None
        except ValueError:
            return False

    return Wanted(accepts, EXPECTED[type_])


def misuse(program: Expression, types: Mapping[str, Type], blank: object, wanted: Wanted) -> str:
    """Why an expression never has a value of use, or '' if it may have one.

    A name that is not among `types` is text. `blank`: what a name without a value is, but for a list. An
    expression that fails for some values only is no mistake: others may be those that it is for.
    """
    answers: list[object] = []
    failed, undecided = False, False
    for sample in _filled(program, types):
        try:
            answers.append(_answer(program, sample))
        except Exception as error:  # cel raises many kinds
            failed = True
            undecided = undecided or not _is_of_types(error)
    if failed and not answers and not undecided:
        return f"fails for any value: {_uses(program, types)}"
    answers += list(_of_blanks(program, types, blank))
    given = [answer for answer in answers if answer is not None] or answers
    if given and not undecided and not any(map(wanted.accepts, given)):
        return f"gives {_kind(given[0])} (expected {wanted.name})"
    return ""


def _filled(program: Expression, types: Mapping[str, Type]) -> Iterator[Sample]:
    """Values for all names: each with each where that is not too many, else each in its turn."""
    names = program.variables
    literals = tuple(first or second for first, second in _LITERAL.findall(program.text))
    values = [_values(types.get(name, Type.TEXT), literals) for name in names]
    if _product(values) <= TRIES_MAX:
        yield from (dict(zip(names, each, strict=True)) for each in itertools.product(*values))
        return
    for start in range(len(names)):
        for turn in range(max(len(each) for each in values)):
            yield {
                name: each[(turn * (place + start + 1) + start) % len(each)]
                for place, (name, each) in enumerate(zip(names, values, strict=True))
            }


def _product(values: list[tuple[object, ...]]) -> int:
    size = 1
    for each in values:
        size *= len(each)
    return size


def _values(type_: Type, literals: tuple[str, ...]) -> tuple[object, ...]:
    if type_ in _OF_TYPE:
        return _OF_TYPE[type_]
    texts = tuple(dict.fromkeys((*literals, *_TEXTS)))
    if type_ in _SEVERAL:
        return (texts, *((text,) for text in texts), ("1", "2", "3"))
    return texts


def _of_blanks(program: Expression, types: Mapping[str, Type], blank: object) -> Iterator[object]:
    """What it gives where one name, or all of them, have no value; where it fails, nothing."""
    names = program.variables
    filled = next(_filled(program, types))
    none: Sample = {name: () if types.get(name) in _SEVERAL else blank for name in names}
    for sample in [none, *({**filled, name: none[name]} for name in names)]:
        try:
            yield _answer(program, sample)
        except Exception:  # a mistake only if it fails for other values too
            continue


def _answer(program: Expression, sample: Sample) -> object:
    log = logging.getLogger("cel")  # it warns of each failure, and here they are what is looked for
    was, log.disabled = log.disabled, True
    try:
        return program.execute(sample)
    finally:
        log.disabled = was


def _is_of_types(error: Exception) -> bool:
    return isinstance(error, TypeError) or any(text in str(error) for text in _WRONG_TYPE)


def _uses(program: Expression, types: Mapping[str, Type]) -> str:
    """What its names are, so that a person sees what does not go together."""
    found = {name: types.get(name, Type.TEXT) for name in program.variables}
    words = {Type.TEXT: "text", Type.INTEGER: "an integer", Type.REFERENCES: "several references"}
    shown = [f"{name} is {words.get(type_, f'a {type_}')}" for name, type_ in found.items()]
    return ", ".join(shown) or "its parts do not go together"


def _kind(value: object) -> str:
    words = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return "nothing" if value is None else words.get(type(value), "something else")
