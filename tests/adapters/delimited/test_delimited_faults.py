"""One fault, one test: what is not sound is refused whole, with its place."""

import pytest
from delimited_inbox import GOOD, STAFF, STAFF_GOOD, STUDENTS, Inbox
from folders import rows

from bus.errors import ConfigError

FAULTS: dict[str, tuple[str | bytes, dict[str, object], str, str]] = {
    "cut in a row": (
        GOOD + "3,El",
        {},
        "row-shape",
        "students.csv:4:3: 2 cells (expected 3). Was the file cut, or is a comma not quoted?",
    ),
    "a cell too many": (
        "id;name;grade\n1;a;b;c\n",
        {"delimiter": ";"},
        "row-shape",
        "students.csv:2:4: 4 cells (expected 3). Was the file cut, or is a semicolon not quoted?",
    ),
    "cut in a quote": (
        'id,name,grade\r\n1,Tam,09\r\n2,"As',
        {},
        "quoting",
        "students.csv:3:1: the row that starts here is not CSV: unexpected end of data",
    ),
    "a duplicate column": (
        "id,name,grade,name\r\n1,Tam,09,\r\n",
        {},
        "header",
        "students.csv:1:4: column name stands there again (first as column 2). Export one.",
    ),
    "no such column": (
        "id,name\r\n1,Tam\r\n",
        {},
        "header",
        "students.csv:1:1: no column grade, which is mapped. Is line 1 the header?",
    ),
    "another delimiter": (
        GOOD,
        {"delimiter": ";"},
        "header",
        "students.csv:1:1: one column (expected 3 that are mapped). Is the delimiter right?",
    ),
    "nothing in it": ("", {}, "header", "students.csv:1:1: no header (expected the columns of students)"),
    "a character that nobody sees": (
        "id,na\u200bme,grade\r\n",
        {},
        "header",
        "students.csv:1:2: characters that nobody sees: U+200B. Remove them.",
    ),
    "NUL": (
        "id,name,grade\r\n1,T\0m,09\r\n",
        {},
        "nul",
        "students.csv:2:4: a NUL character. Export it again.",
    ),
    "cp1252 as utf-8": (
        "id,name,grade\r\n1,Zoë,09\r\n".encode("cp1252"),
        {},
        "encoding",
        "students.csv:2:5: not UTF-8 (character 5 of the line). Export it as UTF-8.",
    ),
    "a byte that cp1252 has not": (
        b"id,name,grade\r\n1,Zo\x81,09\r\n",
        {"encoding": "cp1252"},
        "encoding",
        "students.csv:2:5: not cp1252 (character 5 of the line). Export it as cp1252.",
    ),
    "half a character of utf-16": (
        GOOD.encode("utf-16")[:-5],
        {"encoding": "utf-16"},
        "encoding",
        "students.csv:3:8: not utf-16 (character 8 of the line). Export it as utf-16.",
    ),
    "utf-8 as utf-16": (
        GOOD,
        {"encoding": "utf-16"},
        "encoding",
        "students.csv:1:1: no mark of UTF-16 (expected utf-16). Is it another encoding?",
    ),
    "utf-16 as utf-8": (
        GOOD.encode("utf-16"),
        {},
        "encoding",
        "students.csv:1:1: the mark of utf-16 (expected utf-8). Export it so, or set encoding: utf-16",
    ),
    "utf-8 as cp1252": (
        GOOD.encode("utf-8-sig"),
        {"encoding": "cp1252"},
        "encoding",
        "students.csv:1:1: the mark of utf-8 (expected cp1252). Export it so, or set encoding: utf-8",
    ),
    "an operation that is none": (
        "id,name,grade,operation\r\n1,Tam,09,update\r\n2,Ash,10,upd\r\n",
        {"operation": {}},
        "operation",
        "students.csv:3:4: an operation that is none (expected create, update, delete)",
    ),
    "a blank operation": (
        "id,name,grade,operation\r\n1,Tam,09,\r\n",
        {"operation": {}, "kind": "changes"},
        "operation",
        "students.csv:2:4: an operation that is none (expected create, update, delete)",
    ),
    "no operation": (
        GOOD,
        {"operation": {}, "kind": "changes"},
        "header",
        "students.csv:1:1: no column operation, which is mapped. Is line 1 the header?",
    ),
    "another width without a header": (
        "1,Tam\r\n",
        {"header": False, "tables": {"students": {"columns": ["id", "name", "grade"]}}},
        "row-shape",
        "students.csv:1:3: 2 cells (expected 3). Was the file cut, or is a comma not quoted?",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_refuses_the_file_with_its_place(inbox: Inbox, fault: str) -> None:
    content, settings, code, reason = FAULTS[fault]
    inbox.put(content)

    refused = await inbox.refused(**settings)

    assert refused.reasons == [reason]
    assert refused.code == code


async def test_a_fault_behind_the_first_chunk_has_its_place_too(inbox: Inbox) -> None:
    text = "id,name,grade\r\n" + '1,"a\nb",c\r\n' * 20_000 + "2,Zoë,d\r\n"
    inbox.put(text.encode("utf-16"))
    inbox.put(text.encode("cp1252"), "other.csv")

    first = await inbox.refused(encoding="utf-16", operation={"column": "name", "delete": "x"})
    second = await inbox.refused(tables={"students": {"file": "other.csv"}})

    assert first.reasons[0].startswith("students.csv:2:2: an operation that is none")
    assert second.reasons == ["other.csv:40002:5: not UTF-8 (character 5 of the line). Export it as UTF-8."]


async def test_a_header_and_no_rows_is_said_and_left_to_the_guards(inbox: Inbox) -> None:
    inbox.put("id,name,grade\r\n")

    async with inbox.reading() as reading:
        await reading.open()
        found = await rows(reading, "students")

        assert found == []
        assert reading.warnings == ("students.csv: no rows",)


async def test_a_last_line_without_an_end_is_said(inbox: Inbox) -> None:
    inbox.put(GOOD + "3,Elm,1")

    async with inbox.reading() as reading:
        await reading.open()
        await rows(reading, "students")

        assert reading.warnings == ("students.csv:4: the last line has no end",)


async def test_a_set_that_lacks_a_table_is_refused(inbox: Inbox) -> None:
    inbox.put(GOOD)

    refused = await inbox.refused(STUDENTS, STAFF)

    assert refused.reasons == ["set: no file of staff. Was the export cut short?"]
    assert refused.code == "missing-file"


async def test_a_table_that_may_be_lacking_changes_nothing(inbox: Inbox) -> None:
    inbox.put(STAFF_GOOD, "staff.csv")

    async with inbox.reading(STUDENTS, STAFF, tables={"students": {"optional": True}}) as reading:
        await reading.open()

        assert reading.tables == ("staff",)
        assert reading.warnings == ("students: its file is not there: nothing of it changes",)


async def test_two_spellings_of_one_file_and_a_file_of_two_tables_are_refused(inbox: Inbox) -> None:
    inbox.put(GOOD, "students.csv")
    inbox.put(GOOD, "Students.CSV")
    tables = {"students": {"file": "s*.csv"}, "staff": {"file": "st*.csv"}}

    spelt = await inbox.refused(STUDENTS, STAFF)
    (inbox.folder / "Students.CSV").rename(inbox.folder / "staff.csv")
    both = await inbox.refused(STUDENTS, STAFF, tables=tables)

    assert spelt.code == "two-files"
    assert both.code == "two-tables"
    assert "by its name it is the file of students and of staff" in both.reasons[0]


async def test_every_fault_of_every_header_is_named_at_once(inbox: Inbox) -> None:
    inbox.put("id,grade\r\n", "students.csv")
    inbox.put("name\r\n", "staff.csv")

    refused = await inbox.refused(STUDENTS, STAFF)

    assert [reason.split(":")[0] for reason in refused.reasons] == ["staff.csv", "students.csv"]


async def test_a_file_that_is_written_again_while_it_is_read_is_left_for_later(inbox: Inbox) -> None:
    inbox.put(GOOD)

    async with inbox.reading() as reading:
        await reading.open()
        inbox.put(GOOD + "3,Elm,11\r\n")
        with pytest.raises(Exception, match="it changed while it was read"):
            await rows(reading, "students")
        await reading.refuse("report")

    assert inbox.names("refused") == ["students.csv.report.txt"]
    assert "students.csv" in inbox.names()


async def test_check_names_what_settings_and_mapping_say_differently(inbox: Inbox) -> None:
    tables = {"students": {"columns": ["id", "name"]}, "pupils": {"columns": ["id"]}}

    with pytest.raises(ConfigError, match="students: no column grade; tables: pupils: no entity has this"):
        await inbox.source(header=False, tables=tables).check()
    await inbox.source().check()
