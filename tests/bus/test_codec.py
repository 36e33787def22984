"""What goes onto the wire comes back equal, also from a newer version; anything else is Garbage."""

from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import codec
from bus.errors import Garbage
from bus.messages import (
    Alert,
    AuditRecord,
    Change,
    Claim,
    Conflict,
    Event,
    Op,
    Origin,
    Outcome,
    Record,
    Seen,
    Severity,
    Step,
    Value,
)

INT64 = 2**63

texts = st.text(max_size=20)
"""Every Unicode: four bytes, NUL, combining marks; not halves of characters, which no file holds."""
integers = st.integers(-INT64, INT64 - 1)
times = st.integers(0, INT64 - 1)
values: st.SearchStrategy[Value] = st.one_of(
    texts, integers, st.floats(allow_nan=False), st.booleans(), st.none(), st.lists(texts).map(tuple)
)
fields = st.dictionaries(texts, values, max_size=5)
plain = st.recursive(
    st.one_of(values, st.binary(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=6,
)
extras = st.dictionaries(texts.map("newer ".__add__), plain, max_size=3)
"""Map entries of a newer schema, under names that are no entries of ours."""

events = st.builds(
    Event, texts, texts, texts, st.sampled_from(Op), texts, fields, st.booleans(), times,
    st.none() | times, texts, st.just(""), extras, st.dictionaries(texts, texts, max_size=2),
)  # fmt: skip
origins = st.builds(Origin, texts, times, times, texts, times)
names = st.lists(texts, max_size=4).map(tuple)
since = st.dictionaries(texts, times, max_size=2)
claims = st.dictionaries(texts, st.builds(Claim, times, times), max_size=2)
seen = st.dictionaries(texts, st.builds(Seen, times, names, fields, since, since, claims, since), max_size=3)
records = st.builds(
    Record, texts, texts, times, st.just(7), st.booleans(), names, times, fields,
    st.dictionaries(texts, origins, max_size=4), st.dictionaries(texts, texts, max_size=3), seen, extras,
    st.dictionaries(texts, names, max_size=2), st.dictionaries(texts, st.tuples(times, times), max_size=2),
    st.dictionaries(texts, names, max_size=2),
)  # fmt: skip
tuples = st.lists(fields.map(lambda each: next(iter(each.values()), None)), max_size=3).map(tuple)
conflicts = st.builds(
    Conflict, texts, names, texts, tuples, times, times, texts, tuples, times, times, texts, texts
)
changes = st.builds(
    Change, records, st.sampled_from(Op), texts, texts, st.sampled_from(Outcome), names, times, times,
    st.just(""), st.lists(conflicts, max_size=2).map(tuple),
)  # fmt: skip
audits = st.builds(
    AuditRecord, texts.map("id".__add__), st.sampled_from(Step), st.sampled_from(Outcome), times,
    texts, texts, texts, texts, texts, texts, names, texts,
    times, times, times, times, times, times, texts, times, texts, texts, texts, texts,
    st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
)  # fmt: skip
alerts = st.builds(Alert, texts, texts, st.sampled_from(Severity), texts, times, texts, texts)

EVENT = Event("id", "sis", "student", Op.UPDATE, "7", {"name": "Ada"}, True, 5, 4, "3")
RECORD = Record(
    "student/7", "student", 2, 7, False, ("name",), 9, {"name": "Ada"},
    {"name": Origin("sis", 9, 5, "owner")}, {"sis": "7"}, {"sis": Seen(5, ("name",))},
)  # fmt: skip
CHANGE = Change(RECORD, Op.UPDATE, "id", "sis", Outcome.ACCEPTED, (), 6, 5)
AUDIT = AuditRecord("id", Step.EVENT, Outcome.ACCEPTED, 6, source="sis", fields=("name",), seq=9)
ALERT = Alert("id", "dead-letters", Severity.WARNING, "lms", 6, "text", "runbooks/dead-letters.md")


def decode_change(body: bytes) -> Change:
    return codec.decode_change(body, 7)


def decode_record(body: bytes) -> Record:
    return codec.decode_record(body, 7)


Decode = Callable[[bytes], object]
KINDS: dict[str, tuple[bytes, Decode]] = {
    "event": (codec.encode_event(EVENT), codec.decode_event),
    "change": (codec.encode_change(CHANGE), decode_change),
    "record": (codec.encode_change(CHANGE), decode_record),
    "seen": (codec.encode_seen(RECORD.seen), codec.decode_seen),
    "audit": (codec.encode_audit([AUDIT, AUDIT]), codec.decode_audit),
    "alert": (codec.encode_alert(ALERT), codec.decode_alert),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def exact(value: object) -> object:
    """With its types: in Python 1, 1.0 and True are equal."""
    if isinstance(value, Mapping):
        return {name: exact(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return tuple(exact(each) for each in value)
    return type(value), value


# -- there and back


@given(events)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert exact(codec.decode_event(codec.encode_event(event))) == exact(event)


@given(changes)
def test_a_change_and_its_record_come_back_as_they_were(change: Change) -> None:
    body = codec.encode_change(change)

    assert exact(decode_change(body)) == exact(change)
    assert exact(decode_record(body)) == exact(change.record)


@given(st.lists(audits, max_size=3))
def test_audit_records_come_back_as_they_were(found: list[AuditRecord]) -> None:
    assert exact(codec.decode_audit(codec.encode_audit(found))) == exact(found)


@given(alerts)
def test_an_alert_comes_back_as_it_was(alert: Alert) -> None:
    assert exact(codec.decode_alert(codec.encode_alert(alert))) == exact(alert)


@given(seen)
def test_what_systems_said_comes_back_as_it_was(found: dict[str, Seen]) -> None:
    assert exact(codec.decode_seen(codec.encode_seen(found))) == exact(found)


@given(st.dictionaries(texts.map("my ".__add__), plain))
def test_a_fact_comes_back_with_its_schema(fact: dict[str, object]) -> None:
    assert codec.unpack(codec.encode_state(fact)) == {"v": codec.SCHEMA, **fact}


def test_the_sequence_and_the_trace_are_the_messages_and_not_the_bodys() -> None:
    body = codec.encode_change(CHANGE._replace(traceparent="00-aa"))

    assert b"00-aa" not in body
    assert codec.decode_change(body, 31, "00-bb").traceparent == "00-bb"
    assert codec.decode_change(body, 31).record.seq == codec.decode_record(body, 31).seq == 31
    assert codec.decode_event(codec.encode_event(EVENT), "00-bb").traceparent == "00-bb"


def test_fields_of_one_event_name_their_origin_once() -> None:
    origin = Origin("sis", 9, 5, "owner")
    many = RECORD._replace(origins={f"field{number}": origin for number in range(50)})

    assert codec.encode_change(CHANGE._replace(record=many)).count(b"owner") == 1


def test_audit_says_once_what_all_records_share_and_leaves_blanks_out() -> None:
    others = [AUDIT._replace(id="b", rev=2), AUDIT._replace(id="c")]
    found = codec.unpack(codec.encode_audit([AUDIT, *others]))

    assert found["each"] == {"id": ("id", "b", "c"), "rev": (0, 2, 0)}
    assert found["all"].keys() == {"step", "outcome", "at_ms", "source", "fields", "seq"}


# -- a newer version


def altered(body: bytes, **entries: object) -> bytes:
    packed: bytes = msgpack.packb({**codec.unpack(body), **entries})
    return packed


@every_kind
@given(entries=extras, schema=st.integers(2, 1000))
def test_a_newer_schema_is_read(kind: str, entries: dict[str, object], schema: int) -> None:
    body, decode = KINDS[kind]
    known, newer = decode(body), decode(altered(body, **{**entries, "v": schema}))

    assert _without_extra(newer) == known


def _without_extra(found: object) -> object:
    if isinstance(found, Change):
        return found._replace(record=found.record._replace(extra={}))
    return found._replace(extra={}) if isinstance(found, Event | Record) else found


@given(extras)
def test_what_we_do_not_know_goes_out_again(entries: dict[str, object]) -> None:
    event = codec.decode_event(altered(codec.encode_event(EVENT), **entries))
    change = decode_change(altered(codec.encode_change(CHANGE), **entries))

    for body in (codec.encode_event(event), codec.encode_change(change)):
        assert {name: each for name, each in codec.unpack(body).items() if name in entries} == entries


def test_audit_records_of_a_newer_schema_are_read_without_what_we_do_not_know() -> None:
    found = codec.unpack(codec.encode_audit([AUDIT, AUDIT._replace(id="b")]))
    found["all"]["mood"] = "sunny"
    found["each"]["weather"] = ("rain", "snow")
    body = msgpack.packb({**found, "v": 2})

    assert codec.decode_audit(body) == [AUDIT, AUDIT._replace(id="b")]


# -- anything else


def read_or_garbage(decode: Decode, body: bytes) -> bool:
    try:
        decode(body)
    except Garbage:
        return False
    return True


@every_kind
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_garbage(kind: str, body: bytes) -> None:
    read_or_garbage(KINDS[kind][1], body)


@every_kind
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_is_a_message_or_garbage(kind: str, place: int, byte: int) -> None:
    body, decode = KINDS[kind]
    place %= len(body)

    read_or_garbage(decode, body[:place] + bytes([byte]) + body[place + 1 :])


@every_kind
def test_a_body_that_was_cut_is_garbage(kind: str) -> None:
    body, decode = KINDS[kind]

    assert not any(read_or_garbage(decode, body[:end]) for end in range(len(body)))


@every_kind
@given(data=st.data(), value=plain)
def test_an_entry_of_another_type_is_a_message_or_garbage(
    kind: str, data: st.DataObject, value: object
) -> None:
    body, decode = KINDS[kind]
    name = data.draw(st.sampled_from(sorted(codec.unpack(body))))

    read_or_garbage(decode, altered(body, **{name: value}))


@every_kind
def test_an_entry_that_is_missing_is_garbage(kind: str) -> None:
    body, decode = KINDS[kind]
    entries = codec.unpack(body)
    needed = entries.keys() - {"occurred_at_ms", "read", *({"refused"} if kind == "record" else ())}
    decision = {"op", "event_id", "system", "outcome", "decided_at_ms", "observed_at_ms"}

    for name in needed - (decision if kind == "record" else set()):
        rest = msgpack.packb({each: value for each, value in entries.items() if each != name})
        assert not read_or_garbage(decode, rest), name


WRONG: dict[str, tuple[object, ...]] = {
    "id": (None, 1, b"id"),
    "system": (None, ["sis"]),
    "entity": (7,),
    "op": ("rename", None, ["create"], {"op": "create"}),
    "local_id": (7, None),
    "full": ("yes", 1, None),
    "observed_at_ms": (True, "5", 5.0, None),
    "occurred_at_ms": ("5", float("inf"), True, [5]),
    "fields": (None, [], "name", {"name": {"deep": 1}}, {"name": [1]}, {"name": [["a"]]}, {b"name": "a"},
               {"name": b"bytes"}, {"name": msgpack.Timestamp(5)}),
    "read": (3, None, ["3"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_an_event_with_an_entry_of_another_type_is_garbage(name: str, value: object) -> None:
    assert not read_or_garbage(codec.decode_event, altered(codec.encode_event(EVENT), **{name: value}))


@every_kind
@pytest.mark.parametrize("depth", [100, 400, 900, 1020, 5000, 200_000])
def test_however_deep_it_is_nested_it_is_a_message_or_garbage(kind: str, depth: int) -> None:
    body, decode = KINDS[kind]
    deep = b"\x91" * depth + b"\xc0"

    assert not read_or_garbage(decode, deep)
    for name in codec.unpack(body):
        entries = {each: value for each, value in codec.unpack(body).items() if each != name}
        packed: bytes = msgpack.packb(entries)
        assert packed[0] in (0x80 | len(entries), 0xDE)
        head = b"\xde" + (len(entries) + 1).to_bytes(2)
        rest = packed[1:] if packed[0] != 0xDE else packed[3:]
        read_or_garbage(decode, head + msgpack.packb(name) + deep + rest)


@pytest.mark.parametrize("value", [INT64 * 2, -INT64 - 1])
def test_a_number_beyond_64_bits_never_gets_onto_the_wire(value: int) -> None:
    with pytest.raises(OverflowError):
        codec.encode_event(EVENT._replace(fields={"grade": value}))

    assert codec.decode_event(codec.encode_event(EVENT)) == EVENT  # the packer is none the worse


@every_kind
@given(data=st.data(), secret=st.text(alphabet="ÄÖÜ", min_size=3, max_size=5))
def test_what_garbage_said_is_not_told(kind: str, data: st.DataObject, secret: str) -> None:
    body, decode = KINDS[kind]
    name = data.draw(st.sampled_from(sorted(codec.unpack(body).keys() - {"v"})))
    value: Any = data.draw(st.sampled_from([secret, [secret], {secret: secret}, [[secret, {secret: 1}]]]))

    try:
        decode(altered(body, **{name: value}))
    except Garbage as garbage:
        assert secret not in str(garbage)
        assert garbage.__cause__ is None and garbage.__suppress_context__
