"""Why an event came to nothing, in a word that can be counted: it is work that nobody else had to do."""

from collections.abc import Mapping
from typing import Final

from bus.messages import Event, Seen, Value
from router.core.held import Given

REPEAT: Final = "says what it said before"
ECHO: Final = "says what it was told"
SECOND_PATH: Final = "says what stands already"


def why_unchanged(before: Seen | None, event: Event, values: Mapping[str, Value], given: Given) -> str:
    """Of an event that changes nothing of a record with these values: what is it? `before`: what its system
    said until then, `given`: what it was told.
    """
    names = frozenset(before.names) if before else frozenset()
    said = before.said if before else {}
    news = [
        name
        for name, value in event.fields.items()
        if name not in names or value != said.get(name, values.get(name))
    ]
    if not news:
        return REPEAT
    if all(any(value == event.fields[name] for _, value in given.get(name, ())) for name in news):
        return ECHO
    return SECOND_PATH
