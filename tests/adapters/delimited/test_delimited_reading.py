"""What is read of a sound file, whatever its form."""

from collections.abc import Mapping

import pytest
from delimited_inbox import GOOD, STAFF, STUDENTS, Inbox
from folders import rows

from bus.adapter import EntityShape, Row

TYPED = EntityShape(
    "student",
    "students",
    "id",
    (("id", "text"), ("on", "boolean"), ("mean", "number"), ("clubs", "list"), ("since", "text")),
)
CHANGES = {"kind": "changes", "operation": {"column": "op", "create": "A", "update": "", "delete": "D"}}


async def test_every_row_has_its_line_and_the_columns_that_are_mapped(inbox: Inbox) -> None:
    inbox.put('id,secret,name,grade\r\n1,x,"Elm\nOak",09\r\n\r\n2,y,Ash,10\r\n')

    async with inbox.reading() as reading:
        await reading.open()
        found = await rows(reading, "students")

        assert found == [
            Row(2, {"id": "1", "name": "Elm\nOak", "grade": "09"}),
            Row(5, {"id": "2", "name": "Ash", "grade": "10"}),
        ]
        assert (reading.name, reading.full, reading.tables) == ("students.csv", True, ("students",))
        assert reading.warnings == ("students.csv: blank lines are skipped",)


FORMS: Mapping[str, tuple[str, str, dict[str, object]]] = {
    "tabs": ("id\tname\tgrade\n1\tTam, jr\t09\n", "utf-8", {"delimiter": "tab"}),
    "carriage returns only": ("id,name,grade\r1,'Tam, jr',09\r", "utf-8", {"quote": "'"}),
    "semicolons and a mark": ("id;name;grade\r\n1;Tam, jr;09\r\n", "utf-8-sig", {"delimiter": ";"}),
    "utf-16": ("id|name|grade\r\n1|Tam, jr|09\r\n", "utf-16", {"delimiter": "|", "encoding": "utf-16"}),
    "a quote that is nothing": (
        'id;name;grade\n1;Tam, jr;09\n"2;"Q;"\n',
        "utf-8",
        {"delimiter": ";", "quote": ""},
    ),
    "backslashes": ('id,name,grade\n1,"Tam\\, jr",09\n', "utf-8", {"escape": "backslash"}),
    "no header": (
        "09,Tam\\, jr,1\r\n",
        "utf-8",
        {
            "header": False,
            "quote": "",
            "escape": "backslash",
            "tables": {"students": {"columns": ["grade", "name", "id"]}},
        },
    ),
    "aliases": (
        'Student #,"NAME",Year_Level\n1,"Tam, jr",09\n',
        "utf-8",
        {"tables": {"students": {"aliases": {"Student #": "id", "year level": "grade"}}}},
    ),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_file_of_any_form_is_read(inbox: Inbox, form: str) -> None:
    text, encoding, settings = FORMS[form]
    inbox.put(text.encode(encoding))

    async with inbox.reading(**settings) as reading:
        await reading.open()
        found = await rows(reading, "students")

    assert found[0].values == {"id": "1", "name": "Tam, jr", "grade": "09"}


async def test_headers_in_another_spelling_are_read_with_a_warning(inbox: Inbox) -> None:
    inbox.put("ID,Full-Name,grade,Grade,full name\r\n1,Tam,09,x,y\r\n")
    shape = STUDENTS._replace(fields=(("full_name", "text"), ("grade", "text")))

    refused = await inbox.refused(shape)
    inbox.put("ID,Full-Name,grade,Grade\r\n1,Tam,09,x\r\n")
    async with inbox.reading(shape) as reading:
        await reading.open()
        found = await rows(reading, "students")

        assert refused.reasons == [
            "students.csv:1:5: column full_name stands there again (first as column 2). Export one."
        ]
        assert found[0].values == {"id": "1", "full_name": "Tam", "grade": "09"}
        assert reading.warnings == (
            "students.csv:1: column 1 'ID' is read as id",
            "students.csv:1: column 2 'Full-Name' is read as full_name",
        )


async def test_words_numbers_and_lists_become_what_the_hub_reads(inbox: Inbox) -> None:
    inbox.put("id|on|mean|clubs|since\r\n1|Y|1,5|art; sea, sky|Y\r\n2| n |||\r\n3|yes|2||\r\n")
    settings = {"delimiter": "|", "booleans": ["y", "N"], "decimal": ",", "list_separator": ";"}

    async with inbox.reading(TYPED, **settings) as reading:
        await reading.open()
        found = [row.values for row in await rows(reading, "students")]

    assert found[0] == {"id": "1", "on": "true", "mean": "1.5", "clubs": 'art," sea, sky"', "since": "Y"}
    assert found[1] == {"id": "2", "on": "false", "mean": "", "clubs": "", "since": ""}
    assert found[2]["on"] == "yes"  # no word of ours: the router sets the row aside, with its line


async def test_changes_say_what_became_of_a_record(inbox: Inbox) -> None:
    inbox.put("op,id,name,grade\r\nA,1,Tam,09\r\n,2,Ash,10\r\nd,3,Elm,11\r\n")

    async with inbox.reading(**CHANGES) as reading:
        await reading.open()
        found = await rows(reading, "students")

        assert not reading.full
        assert [(row.values["id"], row.deleted) for row in found] == [("1", False), ("2", False), ("3", True)]
        assert "op" not in found[0].values


@pytest.mark.parametrize(("header", "text"), [(True, "why,ID\r\nmoved,3\r\n"), (False, "3\r\n")])
async def test_what_is_gone_may_come_in_a_file_of_its_own(inbox: Inbox, header: bool, text: str) -> None:
    columns = {} if header else {"columns": ["id", "name", "grade"]}
    tables = {"students": {"file": "stu-{seq}.csv", "deletes": "gone-{seq}.csv", **columns}}
    inbox.put(GOOD if header else GOOD.partition("\n")[2], "stu-7.csv")
    inbox.put(text, "GONE-7.csv")
    inbox.put(text, "gone-8.csv")

    found = []
    async with inbox.reading(kind="changes", tables=tables, header=header) as reading:
        await reading.open()
        found = await rows(reading, "students")
        await reading.accept()
    async with inbox.reading(kind="changes", tables=tables, header=header) as second:
        await second.open()
        gone = await rows(second, "students")

    assert [(row.values["id"], row.deleted) for row in found] == [("1", False), ("2", False), ("3", True)]
    assert [(row.values, row.deleted) for row in gone] == [({"id": "3"}, True)]
    assert (reading.name, second.name) == ("set-7", "set-8")


async def test_several_entities_may_read_one_table(inbox: Inbox) -> None:
    inbox.put()
    other = STAFF._replace(table="students", fields=(("grade", "number"),))

    async with inbox.reading(STUDENTS, other) as reading:
        await reading.open()
        found = await rows(reading, "students")

        assert reading.tables == ("students",)
        assert found[0].values == {"id": "1", "name": "Tam", "grade": "09"}


async def test_a_header_that_may_mean_two_columns_is_neither(inbox: Inbox) -> None:
    inbox.put("id,First Name\r\n1,Tam\r\n")
    shape = STUDENTS._replace(fields=(("first_name", "text"), ("firstName", "text")))

    refused = await inbox.refused(shape)

    assert [reason.split(",")[0] for reason in refused.reasons] == [
        "students.csv:1:1: no column first_name",
        "students.csv:1:1: no column firstName",
    ]


async def test_a_column_that_two_entities_read_differently_stays_as_it_is(inbox: Inbox) -> None:
    inbox.put("id,on,mean,clubs,since\r\n1,Y,1.5,,\r\n")
    other = TYPED._replace(entity="staff", fields=(("on", "text"), ("mean", "number")))

    async with inbox.reading(other, TYPED, booleans=["Y", "N"], decimal=".") as reading:
        await reading.open()
        found = await rows(reading, "students")

    assert found[0].values["on"] == "Y"
