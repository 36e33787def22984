"""Origins behave as the map that they stand for, and say each origin once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Origin
from bus.origins import Origins

names = st.sampled_from("abcdef")
origins = st.builds(Origin, st.sampled_from(["sis", "idp"]), st.integers(1, 3), st.just(5), st.just("owner"))
maps = st.dictionaries(names, origins)


@given(maps)
def test_they_are_the_map_that_they_are_made_of(found: dict[str, Origin]) -> None:
    shared = Origins.of(found)

    assert shared == found and len(shared) == len(found)
    assert Origins.of(shared) is shared


@given(maps)
def test_an_origin_is_said_once(found: dict[str, Origin]) -> None:
    assert len(Origins.of(found).shared) == len(set(found.values()))


@given(maps, st.lists(names, unique=True), origins)
def test_fields_get_another_origin_and_the_others_keep_theirs(
    found: dict[str, Origin], news: list[str], origin: Origin
) -> None:
    before = Origins.of(found)

    assert before.having(news, origin) == {**found, **dict.fromkeys(news, origin)}
    assert before == found


@given(maps, names)
def test_who_said_a_field_is_known(found: dict[str, Origin], name: str) -> None:
    assert Origins.of(found).system_of(name) == (found[name].system if name in found else "")


def test_a_field_that_nobody_spoke_of_has_none() -> None:
    with pytest.raises(KeyError):
        Origins.of({})["a"]
