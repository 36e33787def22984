"""News that is not complete yet."""

from router.sources.runner import Waiting


def test_a_name_without_a_reason_does_not_wait_any_more() -> None:
    waiting = Waiting()
    waiting("a.zip", "it still grows")
    waiting("b.zip", "it still grows")
    waiting("a.zip", "")
    waiting("c.zip", "")

    assert waiting == {"b.zip": "it still grows"}
