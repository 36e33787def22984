"""Values of the hub as text in a file, and text of a file as the hub reads it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from adapters.files.change import Unwritable
from bus.messages import Value

from .form import Form

ToText = Callable[[str, Value], str]
"""From a field's name and value to its cell. Raises Unwritable."""

_QUOTED_IN_LISTS: Final = frozenset('",\r\n')


def to_text(form: Form, dates: Mapping[str, str]) -> ToText:
    """The function that writes a value. `dates`: the formats of the fields that have one."""
    yes, no = form.booleans

    def text(name: str, value: Value) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            format_ = dates.get(name, "")
            return _dated(name, value, format_) if format_ else value
        if isinstance(value, bool):
            return yes if value else no
        if isinstance(value, tuple):
            return _list(name, value, form.list_separator)
        return _number(value).replace(".", form.decimal)

    return text


def _dated(name: str, value: str, format_: str) -> str:
    try:
        at = datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
    except ValueError:
        raise Unwritable(f"{name}: no date (dates: has a format for it)") from None
    return at.strftime(format_)


def _list(name: str, items: tuple[str, ...], separator: str) -> str:
    if separator:
        if any(separator in item for item in items):
            raise Unwritable(f'{name}: an item has "{separator}" in it, which parts the items')
        return separator.join(items)
    return ",".join(_item(item) for item in items)


def _item(item: str) -> str:
    if _QUOTED_IN_LISTS.isdisjoint(item):
        return item
    return '"' + item.replace('"', '""') + '"'


def _number(value: int | float) -> str:
    if isinstance(value, int):
        return str(value)
    text = f"{Decimal(repr(value)):f}"
    return text.removesuffix(".0")


FromText = Callable[[Sequence[str]], Sequence[str]]
"""From cells of a row to what the hub reads of their types."""


def from_text(form: Form, types: Sequence[str]) -> FromText | None:
    """The function for cells of these types; None where the cells are what the hub reads already."""
    readers = {"boolean": _boolean(form), "number": _decimal(form), "list": _items(form)}
    steps = [(place, reader) for place, type_ in enumerate(types) if (reader := readers.get(type_))]
    if not steps:
        return None

    def convert(cells: Sequence[str]) -> Sequence[str]:
        found = list(cells)
        for place, reader in steps:
            found[place] = reader(found[place])
        return found

    return convert


def _boolean(form: Form) -> Callable[[str], str] | None:
    yes, no = (word.casefold() for word in form.booleans)
    if (yes, no) == ("true", "false"):
        return None
    words = {yes: "true", no: "false"}
    return lambda cell: words.get(cell.strip().casefold(), cell)


def _decimal(form: Form) -> Callable[[str], str] | None:
    return None if form.decimal == "." else lambda cell: cell.replace(form.decimal, ".")


def _items(form: Form) -> Callable[[str], str] | None:
    separator = form.list_separator
    return (lambda cell: ",".join(map(_item, cell.split(separator)))) if separator else None
