"""Every kind of alert says how soon, of what, and where its page is; and none is told too often."""

import pytest

from bus.codec import decode_alert
from bus.messages import Severity
from router.alerts import HOUR_MS, KINDS, Seldom, alert_message, sentence


@pytest.mark.parametrize("kind", KINDS)
def test_an_alert_names_its_severity_kind_system_and_page(kind: str) -> None:
    message = alert_message(kind, "lms", "cause", 5, "What happened. What to do next")
    found = decode_alert(message.body)

    assert message.subject == f"alert.{KINDS[kind].value}.{kind}.lms"
    assert found == (
        message.id, kind, KINDS[kind], "lms", 5, "What happened. What to do next", f"runbooks/{kind}.md"
    )  # fmt: skip


def test_what_loses_or_stops_data_is_critical() -> None:
    critical = {kind for kind, severity in KINDS.items() if severity is Severity.CRITICAL}

    assert {"refused-file", "token-refused", "held-removals"} <= critical


def test_the_same_cause_has_the_same_id_and_another_has_another() -> None:
    ids = [
        alert_message("dead-letters", system, cause, at_ms, "text").id
        for system, cause, at_ms in [("lms", "a", 1), ("lms", "a", 2), ("lms", "b", 1), ("idp", "a", 1)]
    ]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_cause_is_told_again_after_an_hour_and_not_before() -> None:
    seldom = Seldom()
    due = [seldom.due("lms", at_ms) for at_ms in (0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS)]

    assert due == [True, False, False, True, False, True]


def test_causes_do_not_silence_each_other() -> None:
    seldom = Seldom()

    assert [seldom.due(cause, 0) for cause in ("lms", "idp", "lms")] == [True, True, False]


@pytest.mark.parametrize("text", ["It is so", "It is so.", "Is it?", "So!"])
def test_a_sentence_ends_once(text: str) -> None:
    assert sentence(text) == sentence(sentence(text))
    assert sentence(text)[-1] in ".?!" and sentence(text)[:-1] == text.rstrip(".?!")
