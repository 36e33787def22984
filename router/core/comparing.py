"""Has a system what it was told? Values as systems keep them: blank is blank, a number may be text."""

from bus.messages import Fields, Value


def plain(value: Value) -> Value:
    """A value without what only tells how it is kept.

    >>> plain(9) == plain("9"), plain(1.0) == plain(1), plain("") == plain(()) == plain(None)
    (True, True, True)
    >>> plain(True), plain(("b", "a"))
    ('true', ('b', 'a'))
    """
    if value is None or value == "" or value == ():
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, tuple) else str(value)


def differing(told: Fields, has: Fields) -> list[str]:
    """The fields in which it has something else; of those alone that it can be told."""
    return [name for name, value in told.items() if plain(value) != plain(has.get(name))]
