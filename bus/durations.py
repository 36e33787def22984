"""How long something takes, as a person writes it: a number with its unit, as in 2s or 36h."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
"""Of each unit."""
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.ASCII)


def seconds(value: object) -> float:
    """How many seconds a text says. Raises ValueError.

    >>> seconds("36h"), seconds("250 ms")
    (129600.0, 0.25)
    """
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        return float(found[1]) * SECONDS[found[2]]
    raise ValueError("no duration (expected a number with ms, s, m, h or d, as in 2s)")


Duration = Annotated[float, BeforeValidator(seconds, json_schema_input_type=str)]
"""A setting that a person writes so; in seconds."""
