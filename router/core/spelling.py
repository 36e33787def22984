"""How a system spells: what is done to its text, and to its ids, before they are compared."""

from collections.abc import Callable, Mapping
from typing import Final

from router.core.rules import SourceEntity

NORMALS: Final[Mapping[str, Callable[[str], str]]] = {
    "trim": str.strip,
    "lower": str.lower,
    "upper": str.upper,
}
NORMALIZE: Final = tuple(NORMALS)
"""The words that `normalize:` knows; anything else there is a date format."""


def normal_id(rule: SourceEntity) -> Callable[[str], str] | None:
    """What makes one id of its spellings; None: an id is as it is."""
    steps = rule.id_normalize
    return (lambda text: spelled(text, steps)) if steps else None


def id_in(rule: SourceEntity, row: Mapping[str, str]) -> str:
    """The id that a row has, whether the rest of it is sound or not; '' if it has none."""
    local_id, normal = row.get(rule.id_field, ""), normal_id(rule)
    return normal(local_id) if normal and local_id else local_id


def spelled(text: str, steps: tuple[str, ...]) -> str:
    """The text after these steps.

    >>> spelled(" 4B ", ("trim", "lower"))
    '4b'
    """
    for step in steps:
        text = NORMALS[step](text)
    return text
