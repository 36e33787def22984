"""The laws that every destination keeps. See `subjects.py` to add one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conformance.files import Delimited, DelimitedChanges, OneRosterCsv
from conformance.subjects import Http, HttpOwnIds, Scim, Sql, Subject

from bus.adapter import Destination, Lists
from bus.errors import ConfigError, Unavailable
from bus.messages import Op, Outcome
from router.core.comparing import differing

SUBJECTS: list[type[Subject]] = [
    Sql,
    Scim,
    Http,
    HttpOwnIds,
    OneRosterCsv,
    Delimited,
    DelimitedChanges,
]

PLANES = "".join(chr(plane << 16 | 0xF0) for plane in range(17)) + "e\u0301 \u202e \ufeff 👩‍👩‍👧"
MEGABYTE = "é" * (1 << 19)


@pytest.fixture(params=SUBJECTS, ids=lambda kind: kind.__name__.lower())
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    return request.param(tmp_path, request)


@pytest.fixture
async def there(subject: Subject) -> AsyncIterator[Destination]:
    destination = subject.make()
    yield destination
    await destination.close()


async def test_the_same_delivery_twice_is_unchanged(subject: Subject, there: Destination) -> None:
    delivery = subject.delivery("1001", 1)

    [first] = await there.apply([delivery])
    [second] = await there.apply([delivery])

    assert (first.outcome, second.outcome) == (Outcome.DELIVERED, Outcome.UNCHANGED)
    assert first.key == second.key == delivery.key


async def test_the_same_content_in_a_newer_version_is_unchanged(subject: Subject, there: Destination) -> None:
    await there.apply([subject.delivery("1001", 1)])

    [receipt] = await there.apply([subject.delivery("1001", 2)])

    assert receipt.outcome is Outcome.UNCHANGED


async def test_what_was_written_reads_back(subject: Subject, there: Destination) -> None:
    fields = subject.fields("1001")

    await there.apply([subject.delivery("1001", 1, fields)])

    assert await subject.look("1001") == fields


async def test_a_blank_field_reads_back_blank(subject: Subject, there: Destination) -> None:
    await there.apply([subject.delivery("1001", 1)])
    fields = {**subject.fields("1001"), subject.text_field: None}

    [receipt] = await there.apply([subject.delivery("1001", 2, fields)])

    assert receipt.outcome is Outcome.DELIVERED
    assert await subject.look("1001") == fields


async def test_a_field_that_a_delivery_leaves_out_stays(subject: Subject, there: Destination) -> None:
    if not subject.patches:
        pytest.skip("its system takes whole records only")
    fields = subject.fields("1001", "before")
    await there.apply([subject.delivery("1001", 1, fields)])
    partial = {name: value for name, value in fields.items() if name != subject.text_field}

    await there.apply([subject.delivery("1001", 2, partial)])

    assert await subject.look("1001") == fields


async def test_receipts_come_in_the_order_of_the_batch(subject: Subject, there: Destination) -> None:
    batch = [subject.delivery(f"{n}", n) for n in (5, 3, 9, 1)]

    receipts = await there.apply(batch)

    assert [receipt.key for receipt in receipts] == [delivery.key for delivery in batch]


async def test_an_edit_replaces_what_was_there(subject: Subject, there: Destination) -> None:
    await there.apply([subject.delivery("1001", 1, subject.fields("1001", "before"))])

    [receipt] = await there.apply([subject.delivery("1001", 2, subject.fields("1001", "after"))])

    assert receipt.outcome is Outcome.DELIVERED
    assert await subject.look("1001") == subject.fields("1001", "after")


@pytest.mark.parametrize("deactivate", [False, True])
async def test_a_deletion_twice_is_unchanged(subject: Subject, there: Destination, deactivate: bool) -> None:
    await there.apply([subject.delivery("1001", 1)])
    delivery = subject.delivery("1001", 2, op=Op.DELETE, deactivate=deactivate)

    [first] = await there.apply([delivery])
    [second] = await there.apply([delivery])

    assert (first.outcome, second.outcome) == (Outcome.DELIVERED, Outcome.UNCHANGED)
    assert await subject.look("1001") is None


@pytest.mark.parametrize("deactivate", [False, True])
async def test_deleting_what_never_was_there_is_unchanged(
    subject: Subject, there: Destination, deactivate: bool
) -> None:
    [receipt] = await there.apply([subject.delivery("1001", 1, op=Op.DELETE, deactivate=deactivate)])

    assert receipt.outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("deactivate", [False, True])
async def test_a_record_comes_back_after_its_deletion(
    subject: Subject, there: Destination, deactivate: bool
) -> None:
    [created] = await there.apply([subject.delivery("1001", 1)])
    await there.apply(
        [subject.delivery("1001", 2, op=Op.DELETE, deactivate=deactivate, local_id=created.local_id)]
    )

    [receipt] = await there.apply([subject.delivery("1001", 3, local_id=created.local_id)])

    assert receipt.outcome is Outcome.DELIVERED
    assert await subject.look("1001") == subject.fields("1001")


async def test_an_older_version_is_not_applied(subject: Subject, there: Destination) -> None:
    if not subject.compares_versions:
        pytest.skip("its system cannot compare versions")
    await there.apply([subject.delivery("1001", 2, subject.fields("1001", "newer"))])

    [receipt] = await there.apply([subject.delivery("1001", 1, subject.fields("1001", "older"))])

    assert receipt.outcome is Outcome.SUPERSEDED
    assert await subject.look("1001") == subject.fields("1001", "newer")


@pytest.mark.parametrize("deactivate", [False, True])
async def test_an_older_version_does_not_bring_a_deleted_record_back(
    subject: Subject, there: Destination, deactivate: bool
) -> None:
    if not subject.compares_versions:
        pytest.skip("its system cannot compare versions")
    await there.apply([subject.delivery("1001", 1)])
    await there.apply([subject.delivery("1001", 3, op=Op.DELETE, deactivate=deactivate)])

    [receipt] = await there.apply([subject.delivery("1001", 2, subject.fields("1001", "older"))])

    assert receipt.outcome is Outcome.SUPERSEDED
    assert await subject.look("1001") is None


async def test_one_bad_record_leaves_the_others_delivered(subject: Subject, there: Destination) -> None:
    batch = [subject.delivery(f"{n}", n) for n in range(1, 8)]
    bad = subject.bad_fields("4")
    batch[3] = subject.delivery("4", 4, bad)

    receipts = await there.apply(batch)

    outcomes = [receipt.outcome for receipt in receipts]
    assert outcomes == [Outcome.DELIVERED] * 3 + [Outcome.FAILED] + [Outcome.DELIVERED] * 3
    assert receipts[3].reason
    assert await subject.look("4") is None
    assert await subject.look("7") == subject.fields("7")


async def test_a_reason_tells_no_value(subject: Subject, there: Destination) -> None:
    bad = subject.bad_fields("4")

    [receipt] = await there.apply([subject.delivery("4", 4, bad)])

    told = [value for value in bad.values() if isinstance(value, str) and value in receipt.reason]
    assert told == []


async def test_a_field_of_a_megabyte_harms_nobody(subject: Subject, there: Destination) -> None:
    huge = subject.fields("2", MEGABYTE)

    receipts = await there.apply(
        [subject.delivery("1", 1), subject.delivery("2", 2, huge), subject.delivery("3", 3)]
    )

    assert receipts[0].outcome is receipts[2].outcome is Outcome.DELIVERED
    assert receipts[1].outcome is Outcome.DELIVERED or receipts[1].reason
    if receipts[1].outcome is Outcome.DELIVERED:
        assert await subject.look("2") == huge


async def test_every_plane_of_unicode_reads_back(subject: Subject, there: Destination) -> None:
    fields = subject.fields("1001", PLANES)

    [receipt] = await there.apply([subject.delivery("1001", 1, fields)])

    assert receipt.outcome is Outcome.DELIVERED
    assert await subject.look("1001") == fields


async def test_half_a_surrogate_pair_fails_alone(subject: Subject, there: Destination) -> None:
    broken = subject.delivery("2", 2, subject.fields("2", "\ud83d"))

    receipts = await there.apply([subject.delivery("1", 1), broken])

    assert [receipt.outcome for receipt in receipts] == [Outcome.DELIVERED, Outcome.FAILED]
    assert subject.text_field in receipts[1].reason


async def test_it_closes_twice(subject: Subject) -> None:
    destination = subject.make()
    await destination.apply([subject.delivery("1001", 1)])

    await destination.close()
    await destination.close()


async def test_another_one_goes_on_where_one_was_closed(subject: Subject, there: Destination) -> None:
    first = subject.make()
    await first.apply([subject.delivery("1001", 1)])
    await first.close()

    [receipt] = await there.apply([subject.delivery("1001", 1)])

    assert receipt.outcome is Outcome.UNCHANGED


async def test_check_is_content_with_a_system_in_order(subject: Subject, there: Destination) -> None:
    await there.check()
    await there.apply([subject.delivery("1001", 1)])
    await there.check()


async def test_check_says_that_a_system_is_not_there(subject: Subject) -> None:
    destination = subject.make_unreachable()

    with pytest.raises((Unavailable, ConfigError), match=r"^there: "):
        await destination.check()
    with pytest.raises(Unavailable, match=r"^there: "):
        await destination.apply([subject.delivery("1001", 1)])
    await destination.close()


async def test_a_refused_credential_is_unavailable_with_a_runbook(subject: Subject) -> None:
    destination = subject.make_refused()
    if destination is None:
        pytest.skip("its system has no credential")

    for call in (destination.check, lambda: destination.apply([subject.delivery("1001", 1)])):
        with pytest.raises(Unavailable) as raised:
            await call()
        assert raised.value.runbook == "token-refused"
    await destination.close()


async def test_what_it_lists_is_what_it_was_told(subject: Subject, there: Destination) -> None:
    if not isinstance(there, Lists):
        pytest.skip("it cannot say all that it has")
    texts = {"1001": "Ada", "1002": PLANES, "1003": "gone", "1004": ""}
    receipts = await there.apply(
        [
            subject.delivery(id_, n, subject.fields(id_, text))
            for n, (id_, text) in enumerate(texts.items(), 1)
        ]
    )
    ids = {receipt.key.partition("/")[2]: receipt.local_id for receipt in receipts}
    gone = subject.delivery("1003", 9, op=Op.DELETE, deactivate=True, local_id=ids["1003"])
    await there.apply([gone])

    listed = {each.local_id: each.fields async for page in there.listing(subject.entity) for each in page}
    assert set(listed) == {ids[id_] or id_ for id_ in ("1001", "1002", "1004")}
    for id_ in ("1001", "1002", "1004"):
        assert differing(subject.fields(id_, texts[id_]), listed[ids[id_] or id_]) == []
        assert differing(subject.fields(id_, "else"), listed[ids[id_] or id_]) == [subject.text_field]


async def test_a_listing_that_it_cannot_give_is_said_to_be_none(subject: Subject) -> None:
    """Half a list would look like records that are gone."""
    destination = subject.make_unreachable()
    try:
        if not isinstance(destination, Lists):
            pytest.skip("it cannot say all that it has")
        with pytest.raises(Unavailable):
            async for _ in destination.listing(subject.entity):
                pass
    finally:
        await destination.close()
