"""Whose is what stands in a two-way system under an id, after two records were made one."""

from collections.abc import Sequence

from bus.messages import Record, Version
from router.core.delivery import Held
from router.delivery.both_ways import BothWays
from router.delivery.settled import Claim


class Index:
    """What the index knows of two records: their ids, and whose an id is."""

    def __init__(self, owner: str, *records: Record) -> None:
        self.owner = owner
        self._records = {record.key: record for record in records}

    def links(self, names: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
        return dict.fromkeys(names, self.owner)

    def records(self, keys: Sequence[str]) -> dict[str, Record]:
        return {key: self._records[key] for key in keys}


def record(key: str, *, deleted: bool = False, into: str = "", **links: str) -> Record:
    found = Record(key, "x", 1, 1, deleted, (), 1, {}, {}, links, {})
    return found._replace(into=into)


def held(key: str, owner: str, *records: Record) -> tuple[str, str]:
    """What the claim of a record still takes as there: (hash, id)."""
    index = Index(owner, *records)
    claim = Claim(1, 1, key, 2, 0, 0, Held(1, Version(1, 1), "hash", "acc"))
    both = BothWays("idp", {"x": ("name",)}, frozenset(), index, lambda each: (), {})  # type: ignore[arg-type]
    (found,) = both.mine([claim], {each.key: each for each in records})
    return found.held.hash, found.held.local_id


STAYS = record("x/1", idp="acc")
LEFT = record("x/2", deleted=True, into="x/1", idp="acc")


def test_an_account_that_went_to_the_one_that_stays_is_not_removed_with_the_other() -> None:
    assert held("x/2", "x/1", STAYS, LEFT) == ("", "")
    assert held("x/1", "x/1", STAYS, LEFT) == ("hash", "acc")


def test_an_account_beside_the_one_that_stays_has_is_removed() -> None:
    beside = record("x/1", idp="own")._replace(aliases={"idp": ("acc",)})

    assert held("x/2", "x/1", beside, LEFT) == ("hash", "acc")


def test_after_a_split_the_account_is_no_more_of_the_one_that_had_it_meanwhile() -> None:
    assert held("x/1", "x/2", record("x/1"), record("x/2", idp="acc")) == ("", "")


def test_an_account_of_which_the_system_has_not_spoken_yet_is_ones_own() -> None:
    assert held("x/1", "x/1", record("x/1")) == ("hash", "acc")
