"""Names on the bus: each on its stream, and none that tells who it is about."""

import base64
import hashlib
import re
from types import FunctionType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import subjects
from bus.subjects import Tokens, stream_of
from bus.topology import STREAMS

KEYS = st.text(min_size=1, max_size=60)
DISTRICT = b"the key of one district"


@given(KEYS, st.binary(min_size=1, max_size=100))
def test_a_token_is_the_keyed_hash_in_base32(key: str, secret: bytes) -> None:
    digest = hashlib.blake2b(key.encode(), key=secret[:64], digest_size=10).digest()

    assert Tokens(secret)(key) == base64.b32encode(digest).decode().lower()


@given(KEYS)
def test_a_token_is_one_word_of_16_characters(key: str) -> None:
    assert re.fullmatch(r"[a-z2-7]{16}", Tokens(DISTRICT)(key))


@given(st.lists(KEYS, min_size=2, max_size=20, unique=True))
def test_a_token_is_the_same_for_ever_whatever_was_asked_before(keys: list[str]) -> None:
    tokens = Tokens(DISTRICT)
    found = [tokens(key) for key in keys]

    assert [tokens(key) for key in keys] == found
    assert [Tokens(DISTRICT)(key) for key in reversed(keys)] == found[::-1]
    assert len(set(found)) == len(keys)


def test_tokens_of_streams_that_exist_never_change() -> None:
    assert Tokens(DISTRICT)("student/1001") == "mzyrvjjg3wrfpvl7"


@given(KEYS)
def test_another_district_has_another_token(key: str) -> None:
    assert Tokens(DISTRICT)(key) != Tokens(b"another")(key)


KEY = "student/1001-Ada"
TOKEN = Tokens(DISTRICT)(KEY)
BUILT = {
    subjects.event("sis", "student", "create"): "EVENTS",
    subjects.change("student", TOKEN): "CHANGES",
    subjects.changes_of("student"): "CHANGES",
    subjects.state("link", "sis", "student", TOKEN): "STATE",
    subjects.audit("event", "accepted", "sis", "student"): "AUDIT",
    subjects.audit("read", "accepted", "sis", ""): "AUDIT",
    subjects.dead("lms", "student"): "DEAD",
    subjects.alert("warning", "dead-letters", "lms"): "ALERTS",
}


@pytest.mark.parametrize("subject", BUILT)
def test_each_subject_goes_to_its_stream(subject: str) -> None:
    [takes] = [stream.name for stream in STREAMS if any(_covers(each, subject) for each in stream.subjects)]

    assert stream_of(subject) == takes == BUILT[subject]


def _covers(pattern: str, subject: str) -> bool:
    parts = [r"[^.]+" if token == "*" else re.escape(token) for token in pattern.split(".")]
    if pattern.endswith(".>"):
        parts[-1] = ".+"
    return re.fullmatch(r"\.".join(parts), subject) is not None


@pytest.mark.parametrize("subject", BUILT)
def test_no_part_of_a_subject_is_blank(subject: str) -> None:
    assert all(subject.split("."))


def test_a_command_is_on_no_stream() -> None:
    subject = subjects.command("ann", "hold.approve")

    assert subject == "cmd.ann.hold.approve"
    with pytest.raises(KeyError):
        stream_of(subject)


def test_nothing_takes_a_record_but_by_its_token() -> None:
    """Whoever adds a builder that takes a key, a local id or a name has to change this test first."""
    builders = [each for each in vars(subjects).values() if isinstance(each, FunctionType)]
    ours = [each for each in builders if each.__module__ == subjects.__name__]
    words = {name for each in ours for name in each.__code__.co_varnames}

    assert len(ours) > 8
    assert words == {"subject", "system", "entity", "op", "token", "kind", "step", "outcome", "severity",
                     "operator", "what"}  # fmt: skip
    assert not any("1001" in subject or "Ada" in subject for subject in BUILT)
