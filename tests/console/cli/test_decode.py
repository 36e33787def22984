"""Any message becomes one line of JSON, without what stands in fields unless that is asked for."""

import io
import json
import subprocess
import sys
from typing import Any

import msgpack
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bus.codec import encode_audit, encode_change, encode_conflict, encode_event, encode_seen, encode_state
from bus.messages import AuditRecord, Change, Conflict, Event, Op, Origin, Outcome, Record, Seen, Step
from console.cli import main
from console.cli.decode import line_of

SECRET = "Wanda"
EVENT = Event("e1", "sis", "student", Op.UPDATE, "7", {"givenName": SECRET, "grade": None}, True, 1_000)
RECORD = Record(
    "student/7",
    "student",
    2,
    0,
    False,
    ("givenName",),
    9,
    {"givenName": SECRET},
    {"givenName": Origin("sis", 9, 1_000, "owner")},
    {"sis": "7"},
    {"idp": Seen(500, ("givenName",), {"givenName": SECRET})},
)
CONFLICT = Conflict(
    "student/7", ("givenName",), "sis", (SECRET,), 9, 1, "idp", (f"{SECRET} B",), 8, 0, "owner", "idp"
)
CHANGE = Change(RECORD, Op.UPDATE, "e1", "sis", Outcome.ACCEPTED, (), 2_000, 1_000, conflicts=(CONFLICT,))
UNMATCHED = encode_state({"system": "idp", "event": encode_event(EVENT), "event_seq": 9})


def decoded(body: bytes, *, values: bool = False) -> dict[str, Any]:
    line = line_of(body, values=values)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_event_of_what_waits_unmatched_is_not_shown() -> None:
    assert SECRET.encode().hex() not in line_of(UNMATCHED, values=False)
    assert decoded(UNMATCHED)["event_seq"] == 9


@pytest.mark.parametrize(
    "body",
    [
        encode_event(EVENT),
        encode_change(CHANGE),
        encode_seen(RECORD.seen),
        encode_conflict(CONFLICT, {}),
    ],
)
def test_values_are_not_shown_unless_asked_for(body: bytes) -> None:
    assert SECRET not in line_of(body, values=False)
    assert "givenName" in line_of(body, values=False)
    assert SECRET in line_of(body, values=True)


def test_names_keys_and_decisions_are_shown() -> None:
    event, change = decoded(encode_event(EVENT)), decoded(encode_change(CHANGE))

    assert (event["op"], event["local_id"], list(event["fields"])) == ("update", "7", ["givenName", "grade"])
    assert (change["key"], change["rev"], change["outcome"]) == ("student/7", 2, "accepted")
    assert change["seen"]["idp"][:3] == [500, None, {"givenName": "***"}]


def test_audit_and_state_are_shown_whole() -> None:
    record = AuditRecord("event/1", Step.EVENT, Outcome.REFUSED, 1_000, fields=("email",), key="student/7")

    [first, second] = decoded(encode_audit([record, record._replace(id="event/2", rev=3)]))["records"]

    assert (first["id"], first["key"], first["fields"]) == ("event/1", "student/7", ["email"])
    assert (second["id"], second["key"], second["rev"]) == ("event/2", "student/7", 3)
    assert decoded(encode_state({"holder": "here"}))["holder"] == "here"


@given(st.binary())
def test_foreign_bytes_are_said_to_be_that(body: bytes) -> None:
    found = decoded(body)

    assert found == {"foreign": True, "bytes": len(body)} or found["v"] is not None


@given(st.recursive(st.none() | st.binary() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_whatever_msgpack_can_say_is_one_line(inside: object) -> None:
    body = msgpack.packb({"v": 1, "x": inside, 7: inside, "fields": {"a": inside}})

    assert decoded(body, values=True)
    assert decoded(body)["fields"] == {"a": "***"}


def test_the_command_reads_stdin_and_never_fails() -> None:
    result = CliRunner().invoke(main, ["decode"], input=io.BytesIO(encode_event(EVENT)))

    assert result.exit_code == 0
    assert json.loads(result.output)["id"] == "e1"
    assert CliRunner().invoke(main, ["decode"], input=b"\xc1").exit_code == 0


def test_it_loads_next_to_nothing() -> None:
    code = "import sys; from console.cli import main; main(['decode'], standalone_mode=False);"
    command = [sys.executable, "-c", f"{code} print(*sys.modules)"]

    done = subprocess.run(command, input=b"", capture_output=True, check=True)

    loaded = set(done.stdout.decode().splitlines()[-1].split())
    assert "console.cli.decode" in loaded
    assert not {"pydantic", "nats", "asyncio", "rich", "bus.codec", "bus.messages"} & loaded
