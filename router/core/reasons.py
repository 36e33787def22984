"""Which page helps with a dead letter, by the reason that is in it. Pure."""

from typing import Final

USUAL: Final = "dead-letters"
PAGES: Final = {
    "is taken by another account": "unmatched",
    "404: nothing is there": "http-unavailable",
    "is no table of": "bad-configuration",
    "has no column": "bad-configuration",
    "the settings do not say": "bad-configuration",
    "no attribute is mapped": "bad-configuration",
    "its own id there is not known": "bad-configuration",
}
"""By what stands in a reason, the page."""


def runbook_of(reason: str) -> str:
    """The page that deals with the cause of a dead letter.

    >>> runbook_of("userName is taken by another account"), runbook_of("422: grade")
    ('unmatched', 'dead-letters')
    """
    return next((page for part, page in PAGES.items() if part in reason), USUAL)
