"""How often a refused write is set right."""

from router.restores import HOUR_MS, RECORDS_MAX, Restores


def test_a_record_is_set_right_so_often_within_an_hour() -> None:
    restores = Restores()

    assert [restores.allows("lms", "student/1", 2, at) for at in (0, 1, 2, HOUR_MS)] == [
        True,
        True,
        False,
        True,
    ]


def test_each_record_and_system_is_counted_by_itself() -> None:
    restores = Restores()

    assert restores.allows("lms", "student/1", 1, 0)
    assert restores.allows("lms", "student/2", 1, 0)
    assert restores.allows("idp", "student/1", 1, 0)
    assert not restores.allows("lms", "student/1", 1, 0)


def test_of_many_records_that_come_back_wrong_none_begins_anew_within_its_hour() -> None:
    restores = Restores()
    for number in range(RECORDS_MAX + 10):
        assert restores.allows("lms", f"student/{number}", 1, 5)

    assert not any(restores.allows("lms", f"student/{number}", 1, HOUR_MS) for number in range(RECORDS_MAX))


def test_what_is_counted_does_not_grow_without_end() -> None:
    restores = Restores()
    for number in range(RECORDS_MAX + 10):
        restores.allows("lms", f"student/{number}", 1, 0)
    restores.allows("lms", "student/late", 1, HOUR_MS)

    assert len(restores._times) == 1
