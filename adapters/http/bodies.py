"""A record as JSON, and JSON as a record: made, looked into, compared. Pure. A dot in a name is a level."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bus.messages import Fields, Value

Json = dict[str, Any]


class Refused(Exception):
    """A record that cannot be told, or found, as it is. The text names fields, never a value."""


def body_of(fields: Fields, also: Mapping[str, Any]) -> Json:
    """The fields as JSON, over what goes along with each record. Raises Refused.

    >>> body_of({"user.name": "Ada", "user.tags": ("a", "b")}, {"user": {"kind": "x"}})
    {'user': {'kind': 'x', 'name': 'Ada', 'tags': ['a', 'b']}}
    """
    body: Json = _copy(also) if also else {}
    for name, value in fields.items():
        *levels, last = name.split(".") if "." in name else (name,)
        holder = body
        for level in levels:
            holder = holder.setdefault(level, {})
            if not isinstance(holder, dict):
                raise Refused(f"{name}: {level} is a value already")
        if isinstance(holder.get(last), dict):
            raise Refused(f"{name}: there are fields below it")
        holder[last] = _plain(name, value)
    return body


def _copy(value: Any) -> Any:
    return {name: _copy(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def _plain(name: str, value: Value) -> Any:
    if value is None or (isinstance(value, str) and value.isascii()):
        return value
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise Refused(f"{name}: half a surrogate pair is not Unicode") from None
    return list(value) if isinstance(value, tuple) else value


def look(answer: Any, path: str) -> Any:
    """What stands at a path, or None. At a list, a number is an index; a name goes on in its only entry.

    >>> look({"data": [{"id": 7}]}, "data.id"), look({"data": [{"id": 7}]}, "data.0.id"), look([], "id")
    (7, 7, None)

    Raises Refused where a list has several entries and the path does not say which.
    """
    for name in path.split(".") if path else ():
        if isinstance(answer, list) and not name.isdecimal():
            answer = only(answer)
        if isinstance(answer, list):
            answer = answer[int(name)] if name.isdecimal() and int(name) < len(answer) else None
        else:
            answer = answer.get(name) if isinstance(answer, Mapping) else None
    return answer


def only(answer: Any) -> Any:
    """The only entry of a list, None of an empty one; anything else as it is. Raises Refused."""
    if not isinstance(answer, list):
        return answer
    if len(answer) > 1:
        raise Refused(f"ambiguous: {len(answer)} records there have its id. Merge them there")
    return answer[0] if answer else None


def holds(there: Any, wanted: Any) -> bool:
    """Has a system all that is wanted? What it has besides does not matter; null is as good as nothing.

    >>> holds({"a": 1, "b": True, "c": {"d": "x", "e": 1}}, {"a": 1.0, "c": {"d": "x"}, "f": None})
    True
    >>> holds({"b": True}, {"b": 1})
    False
    """
    if isinstance(wanted, Mapping):
        if not isinstance(there, Mapping):
            return not wanted
        return all(holds(there.get(name), value) for name, value in wanted.items())
    return bool(there == wanted) and isinstance(there, bool) is isinstance(wanted, bool)


def named_in(text: str, fields: Iterable[str]) -> list[str]:
    """The fields that a text names. It may hold values: only names that we know are taken from it."""
    words = set(re.findall(r"[\w-]+", text))
    return [field for field in fields if field.split(".")[-1] in words]
