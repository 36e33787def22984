"""Mistakes in owners, groups, match rules and invariants, each reported where it stands."""

from typing import Any

import pytest

MISTAKES: dict[str, tuple[str, str, str, list[str]]] = {
    "a match rule by a field that is none": (
        "entities/student.yaml", "owner: sis", "owner: sis\nmatch: [[emial]]",
        ['entities/student.yaml:3:9: match: "emial" is no field of this entity. Did you mean "email"?'],
    ),
    "an identity of a field that is none": (
        "entities/student.yaml", "owner: sis", "owner: sis\nidentity: [emial]",
        ['entities/student.yaml:3:12: identity: "emial" is no field of this entity. Did you mean "email"?'],
    ),
    "a set that is no list": (
        "entities/student.yaml", "email: {", "email: {set: true, ",
        ["entities/student.yaml:5:16: email: text is no list (expected set: with type: list or references)"],
    ),
    "ties of one owner": (
        "entities/student.yaml", "email: {", "email: {ties: ask, ",
        ["entities/student.yaml:5:17: email: one owner has nobody to tie with. Take it out"],
    ),
    "an unknown one of several owners": (
        "entities/student.yaml", "email: {", "email: {owner: [sis, siss], ",
        ['entities/student.yaml:5:24: email.owner: "siss" is no system here. Did you mean "sis"?'],
    ),
    "a date that is none": (
        "entities/student.yaml", "email: {", "email: {owner: [{system: sis, until: 2026-02-30}], ",
        ['entities/student.yaml:5:40: "2026-02-30" is no date (expected one as in 2026-08-15)'],
    ),
    "a term that no path leads to": (
        "entities/student.yaml", "email: {", "email: {owner: [{system: sis, during: class.terms}], ",
        ['entities/student.yaml:5:41: during: "class.terms": "class" is no reference of student'],
    ),
    "a term without a begin and an end": (
        "entities/student.yaml", "email: {", "email: {owner: [{system: sis, during: school}], ",
        ['entities/student.yaml:5:41: during: "school": school has no startDate and endDate'],
    ),
    "a group of a field that is none": (
        "entities/student.yaml", "owner: sis", "owner: sis\ngroups: {both: {fields: [email, emial]}}",
        ['entities/student.yaml:3:33: "emial" is no field of this entity. Did you mean "email"?'],
    ),
    "a field in two groups": (
        "entities/student.yaml", "owner: sis",
        "owner: sis\ngroups: {a: {fields: [email, givenName]}, b: {fields: [grades, email]}}",
        ['entities/student.yaml:3:64: "email" is in the group a too (a field has one group)'],
    ),
    "an invariant of a field that is none": (
        "entities/student.yaml", "owner: sis", "owner: sis\ninvariants: ['begin <= email']",
        ['entities/student.yaml:3:14: begin <= email: "begin" is no field of student.'],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_reported_at_its_place(
    written: Any, file: str, old: str, new: str, expected: list[str]
) -> None:
    written.change(file, old, new)

    problems = written.problems()

    assert len(problems) == len(expected), problems
    for problem, wanted in zip(problems, expected, strict=True):
        assert problem.startswith(wanted)
