"""What a file with mistakes says all the same, so that its other mistakes are found in the same run.

Nothing ever starts on it: whoever salvages has problems to report. A value that cannot stand is left out;
where one must stand, MISTAKEN does, and what is said of that place afterwards is dropped (`compile_folder`).
"""

import copy
import difflib
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

MISTAKEN: Final = "mistaken"
"""A text that every pattern of a name takes."""
_ROUNDS: Final = 8
"""A value that is put in may lack values of its own: a part, its entities, their fields."""
_TEXT: Final = ("missing", "string_type", "string_too_short", "string_too_long", "string_pattern_mismatch")


def salvage(model: type[M], data: object) -> M | None:
    """As much of the data as is of this model; None if that is too little to go on with."""
    data = copy.deepcopy(data)
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            if not all([_mended(data, one) for one in error.errors(include_url=False)]):
                return None
    return None


def _mended(data: Any, error: ErrorDetails) -> bool:
    """Put something that can stand in the place of an error. False: nothing can."""
    loc = error["loc"]
    if loc[-1:] == ("[key]",):
        return _left_out(data, loc[:-1])
    match error["type"]:
        case one if one in _TEXT:
            return _put(data, loc, MISTAKEN)
        case "model_type":
            return _put(data, loc, {})
        case "dict_type" | "too_short":
            # An entity without its fields: nobody can tell which ones others may name.
            return len(loc) > 1 and _put(data, loc, {MISTAKEN: MISTAKEN})
        case "enum" | "literal_error":
            known = str(error.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
            near = difflib.get_close_matches(str(error["input"]), known.split(", "), n=1)
            return _put(data, loc, near[0]) if near else _left_out(data, loc)
    return _left_out(data, loc)


def _put(data: Any, loc: tuple[str | int, ...], value: object) -> bool:
    try:
        _at(data, loc[:-1])[loc[-1]] = value
    except (LookupError, TypeError):
        return False
    return True


def _left_out(data: Any, loc: tuple[str | int, ...]) -> bool:
    """Without the key at that place, or the list that it stands in: other items keep their places."""
    for end in range(len(loc), 0, -1):
        try:
            around = _at(data, loc[: end - 1])
        except (LookupError, TypeError):
            continue
        if isinstance(around, dict) and loc[end - 1] in around:
            del around[loc[end - 1]]
            return True
    return False


def _at(data: Any, loc: tuple[str | int, ...]) -> Any:
    for step in loc:
        data = data[step]
    return data
