"""Which subjects a filter means."""


def matches(pattern: str, subject: str) -> bool:
    """A NATS subject filter.

    >>> matches("change.*.a", "change.student.a"), matches("change.>", "change.student.a")
    (True, True)
    """
    wanted, found = pattern.split("."), subject.split(".")
    for number, token in enumerate(wanted):
        if token == ">":
            return len(found) > number
        if number >= len(found) or token not in ("*", found[number]):
            return False
    return len(wanted) == len(found)
