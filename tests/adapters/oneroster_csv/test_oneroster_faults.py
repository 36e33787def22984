"""What a package is refused for, and what it is only warned for (standards.md 7.3)."""

import pytest
from folders import rows
from oneroster_inbox import ORGS, USERS, Inbox, ids, manifest, package, user

from bus.adapter import EntityShape

GOOD = USERS + user("1") + user("2")
ONE_ORG = ORGS + "o1,,,Elm,school,,\r\n"


def cut(text: str, by: int) -> str:
    return text[:-by]


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "cut in the middle of a row": (cut(GOOD, 30), "users.csv:3:11: 10 cells (expected 18)"),
    "cut inside quotes": (GOOD + '3,,,true,o1,student,u3,,"Ta', "users.csv:4:1: the row that starts here"),
    "a cell too many": (GOOD + user("3").replace("07", "07,08"), "users.csv:4:19: 19 cells (expected 18)"),
    "text after a quote": (GOOD + user("3", '"Tam"my'), "users.csv:4:1: the row that starts here"),
    "not UTF-8": (GOOD.encode() + user("3", "Ren\xe9").encode("latin-1"), "users.csv:4:28: not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "users.csv:1:1: not UTF-8"),
    "NUL": (GOOD + user("3", "T\0m"), "users.csv:4:26: a NUL"),
    "no header": ("", "users.csv:1:1: no header"),
    "zero-width header": (
        GOOD.replace("givenName", "given\u200bName"),
        "users.csv:1:9: header givenName has",
    ),
    "required column missing": (GOOD.replace("familyName", "surname"), "users.csv:1:1: no column familyName"),
    "status of OneRoster 1.0": (GOOD + user("3", status="inactive"), "users.csv:4:2: a status that is none"),
    "second column filled": (
        "sourcedId,name,type,name\r\no1,Elm,school,\r\no2,Elm,school,Oak\r\n",
        "orgs.csv:3:4: name stands in two columns",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
async def test_a_faulty_table_is_refused_with_its_place_and_without_a_value(inbox: Inbox, fault: str) -> None:
    text, place = REFUSED[fault]
    inbox.put(package({place.partition(".")[0]: text}))

    refused = await inbox.refused()

    assert refused.reasons[0].startswith(place)
    assert not any(value in str(refused.reasons) for value in ("Tam", "Elmwick", "Ren", "x.example", "Oak"))


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"users.csv": GOOD}, "export.zip: no manifest.csv"),
        (
            {"manifest.csv": manifest({"users": "bulk", "orgs": "bulk"}), "users.csv": GOOD},
            "but there is no orgs.csv",
        ),
        ({"manifest.csv": manifest({}), "users.csv": GOOD}, "file.users is absent, but users.csv is there"),
        ({"manifest.csv": manifest({"users": "full"}), "users.csv": GOOD}, "neither absent, bulk nor delta"),
        (
            {"manifest.csv": manifest({"users": "bulk"}, "1.1").replace("1.1", "1.0"), "users.csv": GOOD},
            "not 1.1 or",
        ),
        ({"manifest.csv": "a,b,c\r\n", "users.csv": GOOD}, "manifest.csv:1:1: not a manifest"),
        ({"manifest.csv": '"a', "users.csv": GOOD}, "manifest.csv:2:1: not CSV"),
        ({**package({"users": GOOD}), "../orgs.csv": ORGS}, "lies outside the archive"),
        ({**package({"users": GOOD}), "/etc/orgs.csv": ORGS}, "lies outside the archive"),
        ({**package({"users": GOOD}), "Users.csv": GOOD}, "twice, or in two spellings"),
        (
            {f"export/{name}": text for name, text in package({"users": GOOD}).items()},
            "in a folder inside it",
        ),
        ({"notes.txt": "hello"}, "no OneRoster files at the root"),
        (
            {
                "manifest.csv": manifest({"users": "bulk", "orgs": "delta"}),
                "users.csv": GOOD,
                "orgs.csv": ONE_ORG,
            },
            "bulk files and delta files in one package",
        ),
    ],
)
async def test_a_package_that_is_not_what_it_says_is_refused(
    inbox: Inbox, members: dict[str, str], place: str
) -> None:
    inbox.put(members)

    refused = await inbox.refused()

    assert place in refused.reasons[0]


async def test_a_zip_that_was_cut_is_refused(inbox: Inbox) -> None:
    path = inbox.put(package({"users": GOOD}))
    path.write_bytes(path.read_bytes()[:-60])

    refused = await inbox.refused()

    assert refused.code == "damaged"


async def test_a_zip_with_a_wrong_checksum_is_refused_even_in_a_file_that_nobody_asked_for(
    inbox: Inbox,
) -> None:
    members = package({"users": GOOD, "orgs": ONE_ORG})
    path = inbox.put(members)
    content = bytearray(path.read_bytes())
    content[content.index(b"orgs.csv") + len("orgs.csv") + 10] ^= 0xFF
    path.write_bytes(content)

    refused = await inbox.refused(EntityShape("user", "users", "sourcedId", ()))

    assert refused.code == "damaged"


async def test_a_zip_that_expands_beyond_the_limit_is_refused_before_it_is_read(inbox: Inbox) -> None:
    inbox.put(package({"users": USERS + user("1") * 20_000}))

    refused = await inbox.refused(expanded_times_max=20)

    assert refused.code == "expansion"


async def test_delta_wants_a_status(inbox: Inbox) -> None:
    inbox.put(package({"users": USERS + user("1", status="active") + user("2")}, kind="delta"))

    refused = await inbox.refused()

    assert refused.reasons == ["users.csv:3:2: no status in a delta file (expected active or tobedeleted)"]


async def test_a_headerless_file_is_refused_without_a_word_of_its_people(inbox: Inbox) -> None:
    inbox.put(package({"users": user("1") + user("2")}))

    refused = await inbox.refused()

    assert "no column sourcedId" in refused.reasons[0]
    assert "Tam" not in "".join(refused.reasons)


# Harmless


WARNED = {
    "BOM": ("\ufeff" + GOOD, ["users.csv:1: a byte order mark before the header (expected none)"]),
    "CR-only line ends": (
        GOOD.replace("\r\n", "\r"),
        ["users.csv:1: lines end in CR alone (expected CR LF)"],
    ),
    "mixed line ends": (GOOD.replace("\r\n", "\n", 1), []),
    "no last line end": (GOOD.removesuffix("\r\n"), ["users.csv:3: the last line has no end"]),
    "blank last line": (GOOD + "\r\n", ["users.csv: blank lines are skipped"]),
    "misspelt": (
        GOOD.replace("dateLast", "dataLast"),
        ["users.csv:1: column 3 'dataLastModified' is read as dateLastModified"],
    ),
    "another case": (
        GOOD.replace("sourcedId", "SourcedID", 1),
        ["users.csv:1: column 1 'SourcedID' is read as sourcedId"],
    ),
    "unknown": (GOOD.replace("sms", "fax"), ["users.csv:1: column 14 'fax' is unknown: it is not read"]),
}


@pytest.mark.parametrize("deviation", WARNED)
async def test_a_harmless_deviation_is_read_with_a_warning(inbox: Inbox, deviation: str) -> None:
    text, warnings = WARNED[deviation]
    inbox.put(package({"users": text}))

    async with inbox.reading() as reading:
        await reading.open()
        found = await rows(reading, "users")

        assert ids(found) == ["1", "2"]
        assert [row.line for row in found] == [2, 3]
        assert [row.values["givenName"] for row in found] == ["Tam", "Tam"]
        assert list(reading.warnings) == warnings


@pytest.mark.parametrize("filled", [{"orgs": ONE_ORG}, {}])
async def test_users_with_a_header_and_no_rows_are_refused_also_at_first(
    inbox: Inbox, filled: dict[str, str]
) -> None:
    inbox.put(package({"users": USERS + "\r\n", **filled}))

    refused = await inbox.refused()

    assert refused.code == "empty-table"
    assert [reason[:33] for reason in refused.reasons] == ["users.csv: a header and no rows ("]


async def test_a_header_without_rows_is_read_as_nothing_with_a_warning_where_that_may_be(
    inbox: Inbox,
) -> None:
    inbox.put(package({"users": GOOD, "demographics": "sourcedId,birthDate\r\n", "orgs": ORGS}))

    async with inbox.reading(may_be_empty=["orgs"]) as reading:
        await reading.open()
        found = [await rows(reading, table) for table in ("demographics", "orgs")]

        assert found == [[], []]
        assert reading.full
        assert [
            f"{table}.csv: a header and no rows" in reading.warnings for table in ("demographics", "orgs")
        ] == [
            True,
            True,
        ]


async def test_a_delta_without_rows_is_no_news(inbox: Inbox) -> None:
    inbox.put(package({"users": USERS}, kind="delta"))

    async with inbox.reading() as reading:
        await reading.open()

        assert await rows(reading, "users") == []


async def test_a_second_column_that_is_blank_does_not_hide_the_first(inbox: Inbox) -> None:
    text = "sourcedId,role,name,type,name\r\no1,x,Elm,school,\r\n".replace(",role", "").replace(",x", "")
    inbox.put(package({"orgs": text}))

    async with inbox.reading() as reading:
        await reading.open()
        (found,) = await rows(reading, "orgs")

        assert found.values["name"] == "Elm"
        assert reading.warnings == ("orgs.csv:1: column name stands there again as column 4",)


async def test_status_and_date_in_a_bulk_file_are_warned_for_once_and_tobedeleted_counts(
    inbox: Inbox,
) -> None:
    dated = user("1", status="active", date="2026-11-02T00:00:00.000Z")
    local = user("2", status="tobedeleted", date="2017-05-06 08:01:05")
    inbox.put(package({"users": USERS + dated + local}))

    async with inbox.reading() as reading:
        await reading.open()
        found = await rows(reading, "users")

        assert [(row.values["sourcedId"], row.deleted) for row in found] == [("1", False), ("2", True)]
        assert reading.warnings == (
            "users.csv:2:2: status is filled in a bulk file (expected blank)",
            "users.csv:2:3: dateLastModified is filled in a bulk file (expected blank)",
            "users.csv:3:3: dateLastModified is not an ISO 8601 time with a zone",
        )


async def test_a_file_name_in_another_case_is_read_with_a_warning(inbox: Inbox) -> None:
    inbox.put({"Manifest.CSV": manifest({"users": "bulk"}), "USERS.csv": GOOD})

    async with inbox.reading() as reading:
        await reading.open()

        assert ids(await rows(reading, "users")) == ["1", "2"]
        assert len(reading.warnings) == 2


async def test_a_password_leaves_the_file_under_no_name(inbox: Inbox) -> None:
    inbox.put(package({"users": GOOD}))
    shape = EntityShape("user", "users", "sourcedId", (("password", "text"), ("metadata.house", "text")))

    async with inbox.reading(shape) as reading:
        await reading.open()
        found = await rows(reading, "users")

        assert all("secret" not in row.values.values() for row in found)
        assert found[0].values["metadata.house"] == ""
        assert reading.warnings == (
            "users.csv:1: no column metadata.house, which is mapped: it is read as blank",
        )


async def test_lines_are_counted_through_quoted_line_ends(inbox: Inbox) -> None:
    inbox.put(package({"users": USERS + user("1", '"Ta\r\nm\rmy\n"') + "\r\n" + user("2") + "3,,\r\n"}))

    refused = await inbox.refused()

    assert refused.reasons[0].startswith("users.csv:8:4: 3 cells")
