"""What has to be at a destination first."""

import pytest

from router.core.delivery import HELD_UNKNOWN
from router.core.order import NOT_THERE, There, not_yet

HELD = There(2, "a1", False, "")


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(HELD, id="it is there"),
        pytest.param(HELD._replace(listed=True), id="it is there, and is to be changed"),
        pytest.param(HELD._replace(rev=1), id="it is there in an older state"),
        pytest.param(HELD._replace(failed="422"), id="it is there, and its last change failed"),
        pytest.param(HELD._replace(hash=""), id="it is not to be there"),
    ],
)
def test_a_record_does_not_wait_for_what_is_there_or_never_will_be(there: There) -> None:
    assert not_yet(there, 2) == ""


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (NOT_THERE, "is not there yet"),
        (HELD._replace(hash="", rev=1), "is not there yet"),
        (HELD._replace(hash="", listed=True), "is not there yet"),
        (HELD._replace(hash="", failed="422"), "failed there (422)"),
        (HELD._replace(hash=HELD_UNKNOWN), "may be there or not"),
        (HELD._replace(hash="", failed="422", listed=True), "is not there yet"),
    ],
)
def test_a_record_waits_for_what_may_yet_come(there: There, why: str) -> None:
    assert not_yet(there, 2) == why


def test_what_has_more_than_one_change_on_its_way_may_be_gone_meanwhile() -> None:
    assert There(1, "a1", True, "").may_be_gone(3)
    assert not There(2, "a1", True, "").may_be_gone(3)
    assert not There(1, "a1", False, "").may_be_gone(3)
