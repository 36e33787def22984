"""From a document to a pydantic model, with each mistake in our words and at its place."""

import difflib
import types
import typing
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from router.config.documents import LATER
from router.config.positions import Document, Path, Problem

M = TypeVar("M", bound=BaseModel)

NEAR: Final = 0.6
"""How alike two words are that we ask whether one is meant by the other."""
_SURE: Final = 0.75
"""How alike, that we go on as if it were, though nothing is missing."""


def validate(
    model: type[M], document: Document, data: object, path: Path = ()
) -> tuple[M | None, list[Problem]]:
    """The data as this model, or what is wrong with it. `path` is where the data stands in the document."""
    if not isinstance(data, dict):
        return None, [document.problem(path, f"{_kind(data)} (expected keys: {', '.join(keys_of(model))})")]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [_problem(model, document, path, one) for one in error.errors(include_url=False)]


def as_meant(
    model: type[BaseModel], document: Document, data: object, path: Path = ()
) -> tuple[Document, object, list[Problem]]:
    """The data with every key that is nearly a known one taken for that, and the problem of each: so what
    stands below it is looked at too, and it is not called missing.
    """
    problems: list[Problem] = []
    while slips := _slips(model, data):
        for loc, key in slips.items():
            problems.append(document.problem((*path, *loc), _unknown(model, loc), key=True))
            document = document.renamed((*path, *loc), key)
            data = _renamed(data, loc, key)
    return document, data, problems


def _slips(model: type[BaseModel], data: object) -> dict[Path, str]:
    """Where an unknown key stands that is nearly one that is not there, and that one."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    else:
        return {}
    missing = {one["loc"] for one in errors if one["type"] == "missing"}
    found: dict[Path, str] = {}
    for one in errors:
        loc = one["loc"]
        inner = _model_at(model, loc[:-1])
        if one["type"] != "extra_forbidden" or str(loc[-1]) in LATER or inner is None:
            continue
        if near := difflib.get_close_matches(str(loc[-1]), keys_of(inner), n=1, cutoff=NEAR):
            sure = difflib.SequenceMatcher(None, str(loc[-1]), near[0]).ratio() >= _SURE
            target = (*loc[:-1], near[0])
            there = target not in missing and near[0] in _at(data, loc[:-1])
            if (sure or target in missing) and not there and target not in _targets(found):
                found[loc] = near[0]
    return found


def _targets(slips: dict[Path, str]) -> set[Path]:
    return {(*loc[:-1], key) for loc, key in slips.items()}


def _at(data: Any, loc: Path) -> Any:
    for step in loc:
        data = data[step]
    return data


def _renamed(data: Any, loc: Path, key: str) -> Any:
    """A copy in which the key at that place is another one."""
    step, *rest = loc
    if isinstance(data, list):
        return [_renamed(one, tuple(rest), key) if n == step else one for n, one in enumerate(data)]
    if not rest:
        return {key if name == step else name: value for name, value in data.items()}
    return {
        name: _renamed(value, tuple(rest), key) if name == step else value for name, value in data.items()
    }


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word as a question, else the list of all of them.

    >>> did_you_mean("directoy", ["sis", "directory"])
    'Did you mean "directory"?'
    """
    names = list(known)
    if near := difflib.get_close_matches(word, names, n=1, cutoff=NEAR):
        return f'Did you mean "{near[0]}"?'
    return f"Expected one of: {', '.join(names)}." if names else "There is none."


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a model takes, as written in YAML."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _problem(model: type[BaseModel], document: Document, path: Path, error: ErrorDetails) -> Problem:
    loc = error["loc"]
    where = _written(document, (*path, *loc))
    name = next((step for step in reversed(loc) if isinstance(step, str)), "")  # not a number in a list
    match error["type"]:
        case "extra_forbidden":
            return document.problem(where, _unknown(model, loc), key=True)
        case "missing":
            return document.problem(where, f'"{name}" is missing')
        case "value_error":
            text = str(error.get("ctx", {}).get("error", error["msg"]))
            return document.problem(where, f'"{name}": {text}' if name else text)
        case "enum" | "literal_error":
            expected = str(error.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
            return document.problem(where, f'"{name}": {_choice(error["input"], expected.split(", "))}')
        case "string_pattern_mismatch":
            return document.problem(where, _bad_name(loc, error), key=loc[-1:] == ("[key]",))
        case "string_type":
            return document.problem(where, f'"{name}": {_kind(error["input"])} (expected text; quote it)')
    text = error["msg"][:1].lower() + error["msg"][1:]
    return document.problem(where, f'"{name}": {text}')


def _unknown(model: type[BaseModel], loc: Path) -> str:
    name = str(loc[-1])
    if name in LATER:
        return f'"{name}" does nothing in this version yet. Take it out until a version that acts on it'
    inner = _model_at(model, loc[:-1])
    return f'unknown key "{name}". {did_you_mean(name, keys_of(inner) if inner else ())}'


def _choice(value: object, known: list[str]) -> str:
    return f'"{value}" is not known. {did_you_mean(str(value), known)}'


def _bad_name(loc: Path, error: ErrorDetails) -> str:
    pattern = error.get("ctx", {}).get("pattern", "")
    if loc[-1:] == ("[key]",):
        return f'"{loc[-2]}" is no name (expected {pattern})'
    return f'"{loc[-1]}": "{error["input"]}" is no name (expected {pattern})'


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    words = {
        dict: "keys",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return words.get(type(value), "something else")


def _written(document: Document, loc: Path) -> Path:
    """The part of pydantic's location that is in the document: it adds names of its own for unions."""
    end = len(loc)
    if loc and loc[-1] == "[key]":
        return loc[:-1]
    while end and loc[:end] not in document.places:
        end -= 1
    return loc[:end]


def _model_at(model: type[BaseModel], loc: Path) -> type[BaseModel] | None:
    """The model that stands at a location below another one."""
    found: Any = model
    for step in loc:
        found = _inside(found, step)
        if found is None:
            return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _inside(type_: Any, step: str | int) -> Any:
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        for name, field in type_.model_fields.items():
            if step in (name, field.alias):
                return _unwrapped(field.annotation)
        return None
    arguments = typing.get_args(type_)
    if typing.get_origin(type_) is dict:
        return _unwrapped(arguments[1])
    return _unwrapped(arguments[0]) if arguments else None


def _unwrapped(type_: Any) -> Any:
    """Without `| None` and Annotated."""
    if typing.get_origin(type_) is typing.Annotated:
        return _unwrapped(typing.get_args(type_)[0])
    if typing.get_origin(type_) in (typing.Union, types.UnionType):
        return _unwrapped(next(one for one in typing.get_args(type_) if one is not type(None)))
    return type_
