"""OneRoster 1.2: what a delta builds on survives crashes, and is never guessed."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folders import rows
from oneroster_inbox import Inbox, package

from adapters.oneroster_csv.tables import TABLES
from bus.adapter import EntityShape, Reading, Row
from bus.errors import Refused, Unavailable

USER = EntityShape("user", "users", "sourcedId", (("role", "text"), ("orgSourcedIds", "list")))
USERS = ",".join(TABLES["1.2"]["users"].columns) + "\r\n"
ROLES = ",".join(TABLES["1.2"]["roles"].columns) + "\r\n"


def user(id_: str, given: str = "Tam", status: str = "") -> str:
    return f"{id_},{status},,true,u{id_},,{given},Elmwick{',' * 14}\r\n"


def role(id_: str, user_id: str, org: str, status: str = "") -> str:
    return f"{id_},{status},,{user_id},primary,student,,,{org},\r\n"


BULK = package({"users": USERS + user("1"), "roles": ROLES + role("a", "1", "o1")}, version="1.2")
OTHER = package({"users": USERS + user("2"), "roles": ROLES + role("b", "2", "o1")}, version="1.2")
EDIT = package({"users": USERS + user("1", "Tim", "active")}, version="1.2", kind="delta")
MOVE = package({"roles": ROLES + role("a", "1", "o2", "active")}, version="1.2", kind="delta")


async def read(reading: Reading) -> list[Row]:
    await reading.open()
    return await rows(reading, "users")


async def take(inbox: Inbox, members: dict[str, str | bytes], name: str) -> list[Row]:
    """One reading that is read and accepted in one life of the router."""
    inbox.put(members, name)
    async with inbox.reading(USER) as reading:
        found = await read(reading)
        await reading.accept()
    return found


async def cut_off_before_accept(inbox: Inbox, members: dict[str, str | bytes], name: str) -> None:
    """All of it is staged; then the power fails, and nothing of it was put away."""
    inbox.put(members, name)
    async with inbox.reading(USER) as reading:
        await read(reading)


def given_name(found: list[Row]) -> list[str]:
    return [row.values["givenName"] for row in found]


def people(inbox: Inbox) -> list[str]:
    return sorted(path.name for path in (inbox.root / "state").glob("people*"))


async def test_a_reading_accepted_after_a_restart_is_the_base_of_the_next_delta(inbox: Inbox) -> None:
    await take(inbox, BULK, "1.zip")
    await cut_off_before_accept(inbox, EDIT, "2.zip")
    async with inbox.reading(USER) as reading:
        await reading.accept()  # published before the crash: it is neither opened nor read again

    found = await take(inbox, MOVE, "3.zip")

    assert [(row.values["givenName"], row.values["orgSourcedIds"]) for row in found] == [("Tim", "o2")]
    assert people(inbox) == ["people.sqlite3"]


async def test_accepting_twice_keeps_what_the_first_kept(inbox: Inbox) -> None:
    inbox.put(BULK, "1.zip")
    async with inbox.reading(USER) as reading:
        await read(reading)
        await reading.accept()
        await reading.accept()

    assert given_name(await take(inbox, MOVE, "2.zip")) == ["Tam"]


async def test_a_read_that_was_cut_in_the_middle_is_no_base(inbox: Inbox) -> None:
    await take(inbox, BULK, "1.zip")
    inbox.put(EDIT, "2.zip")
    async with inbox.reading(USER) as reading:
        await reading.open()
        batches = reading.rows("users")
        await anext(batches)  # the end was not seen
        await batches.aclose()  # type: ignore[attr-defined]

        assert [name for name in people(inbox) if name.endswith(".new")] == []
        await reading.accept()

    assert given_name(await take(inbox, MOVE, "3.zip")) == ["Tam"]
    assert people(inbox) == ["people.sqlite3"]


async def test_a_refused_reading_leaves_nothing_to_build_on(inbox: Inbox) -> None:
    await take(inbox, BULK, "1.zip")
    inbox.put(EDIT, "2.zip")
    async with inbox.reading(USER) as reading:
        await read(reading)
        await reading.refuse("looks truncated\n")

    assert people(inbox) == ["people.sqlite3"]
    assert given_name(await take(inbox, MOVE, "3.zip")) == ["Tam"]


async def test_candidates_that_nobody_accepted_are_removed(inbox: Inbox) -> None:
    await cut_off_before_accept(inbox, BULK, "1.zip")
    (inbox.folder / "1.zip").unlink()
    (inbox.root / "state" / "people.new").touch()

    await take(inbox, OTHER, "2.zip")

    assert people(inbox) == ["people.sqlite3"]


@pytest.mark.parametrize("damage", ["not a database", "a page"])
async def test_a_damaged_base_refuses_a_delta_and_a_bulk_mends_it(inbox: Inbox, damage: str) -> None:
    await take(inbox, BULK, "1.zip")
    base = inbox.root / "state" / "people.sqlite3"
    sound = 0 if damage == "not a database" else 4096
    base.write_bytes(base.read_bytes()[:sound] + b"x" * 8192)
    inbox.put(MOVE, "2.zip")

    async with inbox.reading(USER) as reading:
        with pytest.raises(Refused, match=r"people\.sqlite3: it is damaged.*Send a bulk package") as caught:
            await read(reading)
        await reading.refuse("damaged\n")

    assert caught.value.code == "people-damaged"
    assert given_name(await take(inbox, BULK, "3.zip")) == ["Tam"]
    assert given_name(await take(inbox, EDIT, "4.zip")) == ["Tim"]


async def test_a_state_folder_without_room_is_unavailable(inbox: Inbox) -> None:
    inbox.put(BULK, "1.zip")
    async with inbox.reading(USER) as reading:
        await reading.open()
        (inbox.root / "state").rmdir()

        with pytest.raises(Unavailable, match=r"people\.sqlite3: it cannot be written"):
            await rows(reading, "users")


async def test_a_report_never_has_an_id_in_it(inbox: Inbox) -> None:
    odd = "u\x1b[31m7"
    delta = {"roles": ROLES + role("b", odd, "o2", "active")}
    inbox.put(package(delta, version="1.2", kind="delta"))

    refused = await inbox.refused(USER)

    assert refused.code == "unknown-user"
    assert not any("31m" in reason for reason in refused.reasons)


@pytest.mark.parametrize("form", ["zip", "loose"])
async def test_no_file_is_touched_in_the_event_loop(inbox: Inbox, form: str) -> None:
    if form == "zip":
        inbox.put(BULK)
    else:
        inbox.loose(BULK)

    with touched_here(inbox.root) as touched:
        async with inbox.reading(USER) as reading:
            await read(reading)
            await reading.accept()

    assert inbox.names() == ["done"]
    assert touched == []


TOUCHES: list[tuple[int, str, list[str]]] = []
"""Who looks: a thread, a folder, and what the thread did with files in it."""


def _look(event: str, arguments: tuple[object, ...]) -> None:
    for thread, folder, touched in TOUCHES:
        if threading.get_ident() == thread and any(str(given).startswith(folder) for given in arguments):
            touched.append(event)


sys.addaudithook(_look)  # for good: there is no way to take one off


@contextmanager
def touched_here(folder: Path) -> Iterator[list[str]]:
    """What this thread opens, lists, renames or removes in a folder."""
    look = (threading.get_ident(), str(folder), list[str]())
    TOUCHES.append(look)
    try:
        yield look[2]
    finally:
        TOUCHES.remove(look)
