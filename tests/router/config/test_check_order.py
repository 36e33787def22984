"""What `check` says of what has to wait, and of what goes."""

from typing import Any


def test_a_circle_of_after_is_a_mistake(written: Any) -> None:
    written.change("warehouse.yaml", "      fields:", "      after: [lake]\n      fields:")
    lake = (written.folder / "warehouse.yaml").read_text()
    written.write(
        "lake.yaml", lake.replace("[lake]", "[warehouse]").replace("system: warehouse", "system: lake")
    )

    problems = written.problems()

    assert "lake.yaml:10:14: after: in a circle: lake → warehouse → lake" in problems
    assert "warehouse.yaml:10:14: after: in a circle: warehouse → lake → warehouse" in problems


def test_after_a_system_that_is_not_told_of_the_record_is_a_mistake(written: Any) -> None:
    written.change("warehouse.yaml", "      fields:", "      after: [sis]\n      fields:")

    assert written.problems() == [
        'warehouse.yaml:10:15: "sis" is not told of student, so there is nothing to wait for'
    ]


def test_to_delete_later_what_is_not_switched_off_first_is_a_mistake(written: Any) -> None:
    written.change("warehouse.yaml", "      fields:", "      delete_after: 60d\n      fields:")

    assert written.problems() == [
        "warehouse.yaml:10:21: delete_after: is for what is switched off (expected on_delete: deactivate)"
    ]
