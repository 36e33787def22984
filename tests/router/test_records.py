"""The cache of records: what is asked for is there, the newest is kept, and it never grows."""

from collections.abc import Sequence

import pytest

from router.records import Recent

STORED = {name: name.upper() for name in "abcdef"}


class Shelf:
    """An index that remembers what it was asked."""

    def __init__(self, entries_max: int) -> None:
        self.asked: list[list[str]] = []
        self.recent = Recent[str, str](self._load, entries_max)

    def _load(self, keys: Sequence[str]) -> dict[str, str]:
        self.asked.append(list(keys))
        return {key: STORED[key] for key in keys if key in STORED}

    def at_hand(self) -> set[str]:
        return {key for key in STORED if self.recent.get(key) is not None}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(3)


def test_what_is_asked_for_is_loaded_once_and_together(shelf: Shelf) -> None:
    first, second = shelf.recent.many("abab"), shelf.recent.many("bac")

    assert (first, second) == ({"a": "A", "b": "B"}, {"a": "A", "b": "B", "c": "C"})
    assert shelf.asked == [["a", "b"], ["c"]]


def test_a_key_without_an_entry_is_not_in_it_and_asked_again(shelf: Shelf) -> None:
    assert shelf.recent.many(["a", "nobody"]) == {"a": "A"}
    assert shelf.recent.many(["nobody"]) == {}
    assert shelf.asked == [["a", "nobody"], ["nobody"]]


def test_what_was_put_is_newer_than_the_index(shelf: Shelf) -> None:
    shelf.recent.many("a")
    shelf.recent.put({"a": "newer", "b": "new"})

    assert shelf.recent.many("ab") == {"a": "newer", "b": "new"}
    assert shelf.asked == [["a"]]


def test_the_longest_not_put_goes_first(shelf: Shelf) -> None:
    shelf.recent.put({"a": "1", "b": "2", "c": "3"})
    shelf.recent.put({"a": "4", "d": "5"})

    assert shelf.at_hand() == {"a", "c", "d"}


def test_more_than_fit_are_all_found_and_the_last_kept(shelf: Shelf) -> None:
    assert shelf.recent.many("abcdef") == STORED
    assert shelf.at_hand() == set("def")


def test_get_never_loads(shelf: Shelf) -> None:
    assert shelf.recent.get("a") is None
    assert shelf.asked == []
