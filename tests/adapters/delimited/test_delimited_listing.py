"""What a destination of delimited files reads back of its own files."""

import pytest
from delimited_outbox import CHANGES, PUPIL, SHAPE, Outbox, student
from test_delimited_destination import FORMS

from adapters.delimited import Destination
from bus.errors import Unavailable
from bus.messages import Op, Value


async def listed(lms: Destination) -> dict[str, dict[str, Value]]:
    return {each.local_id: dict(each.fields) async for page in lms.listing("student") for each in page}


@pytest.mark.parametrize("form", FORMS)
async def test_in_every_form_the_values_that_were_told_are_read_back(outbox: Outbox, form: str) -> None:
    lms = outbox.destination(**FORMS[form][0])
    told = {"1": dict(PUPIL), "2": {**PUPIL, "name": "Elm, the\\old", "average": -2.25, "enrolled": False}}
    await lms.apply([student(id_, **fields) for id_, fields in told.items()])

    assert await listed(lms) == told
    await lms.close()


async def test_what_is_gone_or_was_edited_by_hand_is_seen_as_it_is_in_the_newest_file(outbox: Outbox) -> None:
    lms = outbox.destination(file="{table}-{seq}.csv")
    await lms.apply([student("1"), student("2")])
    await lms.apply([student("2", 2, Op.DELETE), student("3")])
    newest = outbox.folder / "students-000002.csv"
    newest.write_text(newest.read_text().replace("3,Tam", "3,Tom") + "9,Eve,,,,,\n")

    found = await listed(lms)
    assert {id_: fields["name"] for id_, fields in found.items()} == {"1": "Tam", "3": "Tom", "9": "Eve"}
    await lms.close()


async def test_a_row_stands_under_our_id_where_its_file_has_another(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([student("1", id="t.one"), student("2")])

    assert set(await listed(lms)) == {"1", "2"}
    await lms.close()


async def test_before_anything_was_written_there_is_nothing(outbox: Outbox) -> None:
    lms = outbox.destination()

    assert await listed(lms) == {}
    await lms.close()


async def test_a_file_that_its_reader_has_taken_away_is_not_an_empty_one(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([student("1")])
    (outbox.folder / "students.csv").unlink()

    with pytest.raises(Unavailable, match=r"^lms: .*is not there any more"):
        await listed(lms)
    await lms.close()


async def test_a_file_that_is_cut_short_is_not_read_by_halves(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([student("1"), student("2")])
    path = outbox.folder / "students.csv"
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(Unavailable, match=r"^lms: .*cannot be read back"):
        await listed(lms)
    await lms.close()


async def test_files_of_changes_cannot_be_read_back(outbox: Outbox) -> None:
    full, changes = outbox.destination(), outbox.destination(**CHANGES)

    assert set(full.listed) == {SHAPE.entity}
    assert not changes.listed
