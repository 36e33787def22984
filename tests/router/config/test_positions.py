"""Every value has its place, and no bytes crash the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.positions import DEPTH_MAX, VALUES_MAX, Document, Place, Unreadable, read


def problem(content: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(content, "f")
    return str(caught.value)


def test_a_value_and_its_key_have_line_and_column() -> None:
    document = read(b"a: 1\nb:\n  - {c: x}\n", "f")

    assert document.place(("b", 0, "c")) == Place(3, 9)
    assert document.place(("b", 0, "c"), key=True) == Place(3, 6)


def test_what_is_missing_is_where_it_should_have_been() -> None:
    document = read(b"a:\n  b: 1\n", "f")

    assert document.place(("a", "nothing", "here")) == Place(2, 3)


def test_a_substitution_may_stand_unquoted_between_braces() -> None:
    document = read(b"{path: /lms, secret: ${file:lms}, url: ${env:X:-http://a:1/[b],c}}", "f")

    assert document.data == {
        "path": "/lms",
        "secret": "${file:lms}",
        "url": "${env:X:-http://a:1/[b],c}",
    }
    assert document.place(("url",)) == Place(1, 40)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("09", "09"),
        ("2026-11-23", "2026-11-23"),
        ("1e3", "1e3"),
        ("9", 9),
        ("-1.5", -1.5),
        ("true", True),
        ("~", None),
        ("'true'", "true"),
        ('"1"', "1"),
    ],
)
def test_a_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    data = read(f"a: {text}".encode(), "f").data

    assert data == {"a": value}
    assert isinstance(data, dict)
    assert type(data["a"]) is type(value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: 1\nb: 2\na: 3", 'f:3:1: "a" a second time (first in line 1)'),
        (b"a: !!python/object:os.system x", "f:1:4: a tag (expected plain YAML)"),
        (b"a: 1\n---\nb: 2", "f:2:1: a second document (expected one per file)"),
        (b"? [a]\n: 1", "f:1:3: a collection as a key (expected a name)"),
        (b"a: *b", "f:1:4: *b: there is no complete &b before it"),
        (b"a: &b [*b]", "f:1:8: *b: there is no complete &b before it"),
        (b"a: 1\nb: \xff", "f:2:4: not UTF-8 (save the file as UTF-8)"),
        ("a: \ue000".encode(), "f:1:4: U+E000 is a private-use character (expected text)"),
        (b"[" * 100, f"f:1:{DEPTH_MAX + 1}: nested more than {DEPTH_MAX} deep"),
        (b"x" * 1_000_001, "f:1:1: 1000001 bytes (at most 1000000)"),
    ],
)
def test_what_we_do_not_take_is_refused_at_its_place(content: bytes, expected: str) -> None:
    assert problem(content) == expected


def test_aliases_are_counted_as_often_as_they_are_used() -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )

    assert f"more than {VALUES_MAX} values" in problem(laughs.encode())


def test_a_nest_made_of_aliases_is_refused() -> None:
    nest = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))

    assert "nested more than" in problem(nest.encode())


YAMLISH = st.lists(
    st.sampled_from(
        ["a: ", "b", "\n", "  ", "- ", "[", "]", "{", "}", "&x ", "*x", "!t ", "'", '"', "#", "---", "|", ">",
         "${", ":", ",", "? ", "%", "\t", "\x00", "\x85", "é", "\ue000", "1", "~", "<<: ", "@", "`", "\r"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), YAMLISH.map(str.encode), st.text(max_size=100).map(str.encode)))
def test_any_bytes_give_places_or_a_problem(content: bytes) -> None:
    try:
        document = read(content, "f")
    except Unreadable as error:
        assert error.problem.line >= 1
        assert error.problem.column >= 1
    else:
        for path in paths(document.data):
            assert path in document.places
        assert isinstance(document, Document)


def paths(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner: list[tuple[str | int, object]] = []
    if isinstance(data, dict):
        inner = list(data.items())
    if isinstance(data, list):
        inner = list(enumerate(data))
    found = [one for key, value in inner for one in paths(value, (*path, key))]
    return [path, *found] if data is not None else found
