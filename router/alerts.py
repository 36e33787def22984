"""What pages a person: one kind for each cause, each with the runbook of the same name."""

from typing import Final

from bus.codec import encode_alert
from bus.messages import Alert, Severity
from bus.port import Message
from bus.subjects import alert

KINDS: Final = {
    "refused-file": Severity.CRITICAL,
    "quarantined-rows": Severity.WARNING,
    "invalid-event": Severity.WARNING,
    "dead-letters": Severity.WARNING,
    "destination-unreachable": Severity.WARNING,
    "source-unreachable": Severity.WARNING,
    "token-refused": Severity.CRITICAL,
    "held-removals": Severity.CRITICAL,
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
