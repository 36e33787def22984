"""The simulator finds what is broken on purpose. All of it: `make breaks`."""

import pytest
from simulation.breaks import BREAKS, ROOT, Break, found_by

QUICK = ("a marker keeps its position before the records are marked", "a Retry-After is not kept")


@pytest.mark.parametrize("each", BREAKS, ids=lambda each: each.means)
def test_what_a_break_replaces_stands_there_once(each: Break) -> None:
    assert (ROOT / each.file).read_text().count(each.old) == 1


@pytest.mark.parametrize("means", QUICK)
def test_a_seed_finds_what_is_broken(means: str) -> None:
    [each] = [each for each in BREAKS if each.means == means]

    assert found_by(each)


@pytest.mark.slow
@pytest.mark.parametrize("each", [each for each in BREAKS if each.means not in QUICK], ids=lambda e: e.means)
def test_some_seed_finds_each(each: Break) -> None:
    assert found_by(each)
