"""What pages a person: one kind for each cause, each with the runbook of the same name."""

from typing import Final

from bus.codec import encode_alert
from bus.messages import Alert, Severity
from bus.port import Message
from bus.subjects import alert

HOUR_MS: Final = 3_600_000

KINDS: Final = {
    "refused-file": Severity.CRITICAL,
    "quarantined-rows": Severity.WARNING,
    "invalid-event": Severity.WARNING,
    "dead-letters": Severity.WARNING,
    "destination-unreachable": Severity.WARNING,
    "waiting-too-long": Severity.WARNING,
    "destination-back": Severity.INFO,
    "rejecting": Severity.CRITICAL,
    "source-unreachable": Severity.WARNING,
    "token-refused": Severity.CRITICAL,
    "held-removals": Severity.CRITICAL,
    "held-plan": Severity.WARNING,
    "conflict": Severity.WARNING,
    "bouncing": Severity.WARNING,
    "restores-stopped": Severity.WARNING,
    "unmatched": Severity.WARNING,
    "not-taken-up": Severity.WARNING,
    "reused-id": Severity.WARNING,
    "re-key": Severity.CRITICAL,
    "compare-differs": Severity.WARNING,
    "held-job": Severity.WARNING,
    "backfill-offered": Severity.WARNING,
    "paused": Severity.WARNING,
}
"""Every kind of alert, and how soon a person has to look."""


def alert_message(kind: str, system: str, cause: str, at_ms: int, text: str) -> Message:
    """An alert for the outbox. `cause` makes its id: the same cause is told once."""
    severity = KINDS[kind]
    found = Alert(f"{kind}/{system}/{cause}", kind, severity, system, at_ms, text, f"runbooks/{kind}.md")
    return Message(alert(severity, kind, system), encode_alert(found), found.id)


def sentence(text: str) -> str:
    """Words that another sentence follows: with one full stop.

    >>> sentence("idp: no answer"), sentence("Is it up?")
    ('idp: no answer.', 'Is it up?')
    """
    return text if text.endswith((".", "?", "!")) else f"{text}."


class Seldom:
    """Says when an alert of one cause may be told again: at most once an hour."""

    def __init__(self) -> None:
        self._told_ms: dict[str, int] = {}

    def due(self, cause: str, now_ms: int) -> bool:
        """True if it was not told within the hour; then it counts as told now."""
        told_ms = self._told_ms.get(cause)
        if told_ms is not None and now_ms - told_ms < HOUR_MS:
            return False
        self._told_ms[cause] = now_ms
        return True
