"""Which page helps with a dead letter."""

from pathlib import Path

import pytest

from adapters.scim.names import TAKEN
from router.core.reasons import PAGES, USUAL, runbook_of

RUNBOOKS = Path(__file__).parents[3] / "runbooks"


@pytest.mark.parametrize("page", sorted({USUAL, *PAGES.values()}))
def test_each_page_is_there(page: str) -> None:
    assert (RUNBOOKS / f"{page}.md").exists()


@pytest.mark.parametrize(
    ("reason", "page"),
    [
        (TAKEN, "unmatched"),
        ("404: nothing is there. See the table's paths in the settings (12 attempts)", "http-unavailable"),
        ("students: the settings do not say what switches a record off", "bad-configuration"),
        ("422: grade is required", USUAL),
    ],
)
def test_a_reason_has_the_page_of_its_cause(reason: str, page: str) -> None:
    assert runbook_of(reason) == page
