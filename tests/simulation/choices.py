"""Every choice of a run by its name and number: made by chance from the seed, or as a plan says.

What a plan does not name goes the usual way: nothing goes wrong, nothing is late, all goes in its order. So a
run that has failed can be made again from its choices alone, and from fewer of them.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Choice(NamedTuple):
    """The how manyth choice of a name, from 1."""

    name: str
    nth: int


Plan = Mapping[Choice, Any]
"""What does not go the usual way. Values are such that JSON has them."""


class Choices:
    """Those of one run. Each name draws from a stream of chance of its own, so that one more choice of one
    name does not change all others.
    """

    def __init__(self, seed: object, plan: Plan | None = None) -> None:
        self._seed = seed
        self._plan = plan
        self._chances: dict[str, Random] = {}
        self._counts: Counter[str] = Counter()
        self.made: dict[Choice, Any] = {}
        """What went another way than usual."""

    @property
    def planned(self) -> bool:
        """Is this a plan's run?"""
        return self._plan is not None

    def chance(self, name: str) -> Random:
        """The stream of chance of one name."""
        if name not in self._chances:
            self._chances[name] = Random(f"{self._seed}/{name}")
        return self._chances[name]

    def of(self, name: str, usual: T, draw: Callable[[Random], T]) -> T:
        """The next choice of that name."""
        nth = self._counts[name] = self._counts[name] + 1
        if self._plan is not None:
            found: T = self._plan.get((name, nth), usual)
        else:
            found = draw(self.chance(name))
        if found != usual:
            self.made[Choice(name, nth)] = found
        return found

    def amend(self, name: str, value: Any) -> None:
        """Say the last choice of that name in other words, that stay true when there are fewer others."""
        self.made[Choice(name, self._counts[name])] = value
