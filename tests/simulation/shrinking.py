"""A run that failed, made smaller: fewer faults, fewer lives, fewer readings and records, the usual order.

What is taken away goes the usual way (`choices.py`). A smaller run counts only if it is broken in the same
words, keys and numbers aside.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from simulation.choices import Choice, Plan

T = TypeVar("T")

RUNS_MAX: Final = 400
NOISE: Final = ("order", "tick", "delay", "jitter", "batch", "spell", "late", "slow", "down", "town")
"""Kinds of choices that often have nothing to do with it: tried without, all together and one by one."""
WITHOUT: Final = Choice("town without", 1)
DAYS: Final = Choice("town days", 1)


class Run(NamedTuple):
    """What a plan came to: what is broken, in words, and which records the sources told of."""

    broken: Sequence[str]
    records: Sequence[str]


class Shrinking:
    """Of one failure."""

    def __init__(
        self, run: Callable[[Plan], Run], broken: Sequence[str], *, runs_max: int = RUNS_MAX
    ) -> None:
        self._run = run
        self._words = words(broken[0])
        self._left = runs_max

    def smallest(self, plan: Plan) -> Plan:
        """The plan with as little in it as was found. Raises ValueError if it fails otherwise."""
        if not self._fails(plan):
            raise ValueError("the choices of the run do not make it again")
        plan = self._fewer_choices(self._fewer_days(self._without_noise(plan)))
        return self._fewer_choices(self._fewer_records(self._fewer_days(plan)))

    def _fails(self, plan: Plan) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        return any(words(line) == self._words for line in self._run(plan).broken)

    def _without_noise(self, plan: Plan) -> Plan:
        for kinds in (NOISE, *[(kind,) for kind in NOISE]):
            fewer = {choice: value for choice, value in plan.items() if kind_of(choice) not in kinds}
            if len(fewer) < len(plan) and self._fails(fewer):
                plan = fewer
        return plan

    def _fewer_choices(self, plan: Plan) -> Plan:
        less = {choice: value for choice, value in plan.items() if choice in (DAYS, WITHOUT)}
        others = [(choice, value) for choice, value in plan.items() if choice not in less]
        return {**less, **dict(self._fewest(others, lambda kept: {**less, **dict(kept)}))}

    def _fewer_days(self, plan: Plan) -> Plan:
        for days in (1, 2, 3):
            fewer = {**plan, DAYS: days}
            if self._fails(fewer):
                return fewer
        return plan

    def _fewer_records(self, plan: Plan) -> Plan:
        """`kept` is what shrinks: the plan names all others."""
        names = list(self._run(plan).records)

        def only(kept: Sequence[str]) -> Plan:
            return {**plan, WITHOUT: [name for name in names if name not in kept]}

        kept = self._fewest(names, only)
        return only(kept) if len(kept) < len(names) else plan

    def _fewest(self, items: Sequence[T], plan_of: Callable[[Sequence[T]], Plan]) -> Sequence[T]:
        """Zeller's delta debugging, towards fewer: take parts away for as long as it still fails."""
        parts = 2
        while items and self._left > 0:
            size = -(-len(items) // parts)
            for start in range(0, len(items), size):
                fewer = [*items[:start], *items[start + size :]]
                if self._fails(plan_of(fewer)):
                    items, parts = fewer, max(parts - 1, 2)
                    break
            else:
                if size == 1:
                    break
                parts = min(parts * 2, len(items))
        return items


def words(line: str) -> str:
    """What is broken, without keys and numbers.

    >>> words("lms student/s3: settled up to rev 1 of 2"), words("event 7 was never settled")
    ('lms * settled up to rev * of *', 'event * was never settled')
    """
    return re.sub(r"\S*[\d/]\S*", "*", line)


def kind_of(choice: Choice) -> str:
    """Of what kind it is: the first word of its name.

    >>> kind_of(Choice("delay@publish AUDIT", 3))
    'delay'
    """
    return re.split(r"[@ ]", choice.name)[0]


def written(plan: Plan) -> str:
    """A plan for the command line."""
    return json.dumps([[*choice, value] for choice, value in plan.items()], separators=(",", ":"))


def plan_in(text: str) -> dict[Choice, Any]:
    """The inverse of `written`.

    >>> plan_in('[["far.lie@lms",2,true]]')
    {Choice(name='far.lie@lms', nth=2): True}
    """
    return {Choice(name, nth): value for name, nth, value in json.loads(text)}


def told(plan: Plan) -> list[str]:
    """Line by line, for a reader: what does not go the usual way."""
    return [f"  {_shown(choice, value)}" for choice, value in plan.items()]


def _shown(choice: Choice, value: Any) -> str:
    if choice == WITHOUT:
        return f"town: {len(value)} records are left out"
    if choice == DAYS:
        return f"town: {value} days"
    if choice.name == "life" and value[0] == "dies after":
        step, nth, turns = value[1]
        return f"life: dies {turns} turns of the loop after its {nth}. {step!r}"
    said = "it happens" if value is True else f"{value:.3f}" if isinstance(value, float) else str(value)
    return f"{choice.name}, number {choice.nth}: {said}"
