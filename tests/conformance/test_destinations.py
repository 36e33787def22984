"""The laws of the contract kit, held against every destination there is. See `subjects.py` to add one."""

from pathlib import Path

import pytest
from conformance.files import Delimited, DelimitedChanges, OneRosterCsv
from conformance.subjects import Http, HttpBatches, HttpBlind, HttpOAuth2, HttpOwnIds, Scim, Sql, Subject

from adapters.contract.law import Became, Law, hold
from adapters.contract.laws import LAWS

SUBJECTS: list[type[Subject]] = [
    Sql,
    Scim,
    Http,
    HttpOwnIds,
    HttpBlind,
    HttpBatches,
    HttpOAuth2,
    OneRosterCsv,
    Delimited,
    DelimitedChanges,
]


@pytest.fixture(params=SUBJECTS, ids=lambda kind: kind.__name__.lower())
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    return request.param(tmp_path, request)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name.replace(" ", "-"))
async def test_every_destination_keeps_the_law(subject: Subject, law: Law) -> None:
    verdict = await hold(law, subject)

    if verdict.became is Became.NOT_RUN:
        pytest.skip(verdict.text)
    assert verdict.became is Became.KEPT, verdict.text
