"""What a destination of delimited files writes: full files."""

import pytest
from delimited_outbox import PUPIL, SHAPE, Outbox, student
from folders import DAY_MS, deliver, outcomes

from bus.adapter import EntityShape, Receipt
from bus.errors import ConfigError
from bus.messages import Op, Outcome, Value

HEADER = "id,name,grade,average,enrolled,born,classes\r\n"


async def test_a_full_file_has_all_records_with_the_columns_of_the_mapping(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([student("2", name="Elm, the\nold"), student("1")])

    receipts = await lms.apply([student("3", average=None), student("1", 2, Op.DELETE)])
    await lms.close()

    assert receipts == [
        Receipt("x/3", Outcome.DELIVERED, "", "3"),
        Receipt("x/1", Outcome.DELIVERED, "", "1"),
    ]
    assert outbox.files() == ["students.csv"]
    assert outbox.text() == (
        HEADER
        + '2,"Elm, the\nold",9,1.5,true,2011-02-28,"art,music"\r\n'
        + '3,Tam,9,,true,2011-02-28,"art,music"\r\n'
    )


BARE = {"header": False}
ORDER = ["name", "room", "classes", "born", "enrolled", "average", "grade", "id"]
FORMS: dict[str, tuple[dict[str, object], str]] = {
    "tab and no header": (
        {"delimiter": "tab", **BARE},
        "1\tTam\t9\t1.5\ttrue\t2011-02-28\tart,music\r\n",
    ),
    "words, dates, lists and numbers": (
        {
            "booleans": ["Y", "N"],
            "dates": "%d.%m.%Y",
            "list_separator": "|",
            "decimal": ",",
            "delimiter": ";",
            **BARE,
        },
        "1;Tam;9;1,5;Y;28.02.2011;art|music\r\n",
    ),
    "a date of one column": (
        {"tables": {"students": {"dates": {"born": "%m/%d/%y"}}}, "delimiter": "|", **BARE},
        "1|Tam|9|1.5|true|02/28/11|art,music\r\n",
    ),
    "all in quotes, line feeds": (
        {"quote": "'", "quoting": "all", "line_end": "lf", **BARE},
        "'1','Tam','9','1.5','true','2011-02-28','art,music'\n",
    ),
    "columns in an order of their own, one of them empty": (
        {"tables": {"students": {"columns": ORDER}}, "line_end": "cr"},
        ",".join(ORDER) + '\rTam,,"art,music",2011-02-28,true,1.5,9,1\r',
    ),
    "nothing to quote with, but a backslash": (
        {"quote": "", "escape": "backslash", **BARE},
        "1,Tam,9,1.5,true,2011-02-28,art\\,music\r\n",
    ),
}


@pytest.mark.parametrize("form", FORMS)
async def test_the_form_of_the_file_is_as_the_settings_say(outbox: Outbox, form: str) -> None:
    settings, expected = FORMS[form]
    lms = outbox.destination(**settings)

    await lms.apply([student("1")])
    await lms.close()

    assert outbox.text() == expected


@pytest.mark.parametrize(
    ("encoding", "start"),
    [
        ("utf-8", b"id,"),
        ("utf-8-sig", b"\xef\xbb\xbfid,"),
        ("cp1252", b"id,"),
        ("latin-1", b"id,"),
        ("utf-16", b"\xff\xfei\0d\0"),
    ],
)
async def test_the_encoding_has_its_mark_and_refuses_what_it_cannot_hold(
    outbox: Outbox, encoding: str, start: bytes
) -> None:
    lms = outbox.destination(encoding=encoding)

    receipts = await lms.apply(
        [student("1", name="Zoë"), student("2", name="Zo\ud800"), student("3", name="日")]
    )
    await lms.close()

    wide = encoding.startswith("utf")
    expected = [Outcome.DELIVERED, Outcome.FAILED, Outcome.DELIVERED if wide else Outcome.FAILED]
    assert outcomes(receipts) == expected
    assert receipts[1].reason.startswith("name: a character that no file in")
    assert (outbox.folder / "students.csv").read_bytes().startswith(start)
    assert "Zoë" in outbox.text(encoding=encoding)


BAD: dict[str, tuple[dict[str, object], dict[str, Value], str]] = {
    "NUL": ({}, {"name": "E\0m"}, "name: a character that no file of text can hold"),
    "nothing to quote with": ({"quote": ""}, {"name": "a,b"}, "name: a delimiter or a line break"),
    "separator in an item": (
        {"list_separator": ";"},
        {"classes": ("a;b",)},
        'classes: an item has ";" in it',
    ),
    "no date": ({"dates": "%d.%m.%Y"}, {"born": "someday"}, "born: no date"),
    "no such column": ({}, {"colour": "red"}, "students has no column colour"),
}


@pytest.mark.parametrize("fault", BAD)
async def test_a_record_that_cannot_stand_in_the_file_fails_alone(outbox: Outbox, fault: str) -> None:
    settings, fields, reason = BAD[fault]
    lms = outbox.destination(**settings)

    bad, good = await lms.apply([student("1", **fields), student("2", classes=None)])
    await lms.close()

    assert (bad.outcome, good.outcome) == (Outcome.FAILED, Outcome.DELIVERED)
    assert bad.reason.startswith(reason)
    assert outbox.text().startswith(HEADER + "2,")


async def test_a_table_that_is_not_mapped_fails(outbox: Outbox) -> None:
    lms = outbox.destination()

    [receipt] = await lms.apply([deliver("staff", "1", 1, Op.UPDATE, PUPIL)])
    await lms.close()

    assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, '"staff" is no table of this system')
    assert outbox.files() == []


async def test_switching_off_changes_the_cells_that_the_settings_name(outbox: Outbox) -> None:
    off = {"students": {"deactivated": {"enrolled": "false", "classes": ""}}}
    lms, other = outbox.destination(tables=off), Outbox(outbox.root).destination()
    delete = deliver("students", "1", 2, Op.DELETE, {}, deactivate=True)

    [unsaid] = await other.apply([delete])
    await other.close()
    await lms.apply([student("1")])
    await lms.apply([delete])
    await lms.close()

    assert unsaid.outcome is Outcome.FAILED
    assert "Add deactivated:" in unsaid.reason
    assert outbox.text() == HEADER + "1,Tam,9,1.5,false,2011-02-28,\r\n"


async def test_two_entities_may_share_a_table_and_every_table_is_written_each_time(outbox: Outbox) -> None:
    staff = EntityShape("staff", "people", "pid", (("name", "text"),))
    guardian = EntityShape("guardian", "people", "pid", (("phone", "text"),))
    lms = outbox.destination(SHAPE, staff, guardian, file="{table}_{date:%d%m%y}.txt")
    await lms.apply([student("1"), deliver("people", "7", 1, Op.UPDATE, {"name": "Ash"})])

    outbox.now_ms += DAY_MS
    await lms.apply([deliver("people", "8", 1, Op.UPDATE, {"phone": "1"})])
    await lms.close()

    names = ["people_150127.txt", "people_160127.txt", "students_150127.txt", "students_160127.txt"]
    assert outbox.files() == names
    assert outbox.text("people_160127.txt") == "pid,name,phone\r\n7,Ash,\r\n8,,1\r\n"


async def test_the_last_writes_are_kept_and_nobody_elses_files_are_touched(outbox: Outbox) -> None:
    (outbox.folder / "students-x.csv").touch()
    lms = outbox.destination(keep=2, file="{table}-{seq}.csv")

    for number in range(4):
        await lms.apply([student(str(number))])
    await lms.close()

    assert outbox.files() == ["students-000003.csv", "students-000004.csv", "students-x.csv"]


async def test_a_file_of_a_fixed_name_stays_however_many_writes_came_after_it(outbox: Outbox) -> None:
    people = EntityShape("staff", "people", "id", (("name", "text"),))
    tables = {"students": {"file": "{table}-{seq}.csv"}}
    lms = outbox.destination(SHAPE, people, keep=1, tables=tables)

    for number in range(3):
        await lms.apply([student(str(number)), deliver("people", str(number), 1, Op.UPDATE, {"name": "Ash"})])
    await lms.close()

    assert outbox.files() == ["people.csv", "students-000003.csv"]


async def test_removals_beyond_the_limit_are_held_and_the_rest_goes_on(outbox: Outbox) -> None:
    lms = outbox.destination()
    await lms.apply([student(f"{n}") for n in range(30)])

    receipts = await lms.apply([*(student(f"{n}", 2, Op.DELETE) for n in range(8)), student("new", 2)])
    await lms.close()

    assert outcomes(receipts) == [Outcome.HELD] * 8 + [Outcome.DELIVERED]
    assert receipts[0].reason == "are held: students would go from 30 to 23 rows (limit 20% in 24 h)"
    assert len(outbox.text().splitlines()) == 32


async def test_check_names_what_settings_and_mapping_say_differently(outbox: Outbox) -> None:
    settings = {"columns": ["id", "name"], "deactivated": {"active": "N"}}
    odd = SHAPE._replace(table="a/b", fields=(("日", "text"),))

    with pytest.raises(ConfigError, match=r"students has no column active; .*students has no column average"):
        await outbox.destination(tables={"students": settings}).check()
    with pytest.raises(ConfigError, match="students: nothing says what switches a record off"):
        await outbox.destination(SHAPE._replace(switches_off=True)).check()
    with pytest.raises(ConfigError, match="tables: student: no entity has this table"):
        await outbox.destination(tables={"student": {}}).check()
    with pytest.raises(ConfigError, match=r'"a/b" cannot stand in the name of a file.*no file in latin-1'):
        await outbox.destination(odd, encoding="latin-1").check()
    await outbox.destination().check()


@pytest.mark.parametrize(
    ("number", "text"), [(9.0, "9"), (1e-7, "0.0000001"), (1e16, "10000000000000000"), (-0.5, "-0.5")]
)
async def test_a_number_is_written_without_an_exponent(outbox: Outbox, number: float, text: str) -> None:
    lms = outbox.destination(header=False)

    await lms.apply([student("1", average=number)])
    await lms.close()

    assert outbox.text().split(",")[3] == text
