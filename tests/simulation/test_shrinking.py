"""A run that fails is made smaller, until a person can read it."""

import shlex
from pathlib import Path

import pytest
from simulation.breaks import BREAKS, broken_copy, run
from simulation.choices import Choice, Plan
from simulation.shrinking import DAYS, Run, Shrinking, plan_in, words, written

CULPRITS = {Choice("far.lie@lms", 3): True, Choice("life", 2): ["dies", 40]}
OTHERS = {Choice("order", nth): [1, 0] for nth in range(1, 60)} | {
    Choice("bus.lost@AUDIT", nth): True for nth in range(1, 20)
}


def broken_by_both(plan: Plan) -> Run:
    """Broken in these words if both culprits are there, in others if there is nothing at all."""
    both = all(plan.get(choice) == value for choice, value in CULPRITS.items())
    return Run([f"event {len(plan)} was never settled"] if both else [] if plan else ["another thing"], [])


def test_what_has_nothing_to_do_with_it_is_taken_away() -> None:
    shrinking = Shrinking(broken_by_both, ["event 7 was never settled"])

    assert shrinking.smallest(OTHERS | CULPRITS) == {DAYS: 1, **CULPRITS}


def test_another_failure_is_not_taken_for_it() -> None:
    with pytest.raises(ValueError, match="do not make it again"):
        Shrinking(broken_by_both, ["event 7 was never settled"]).smallest({})


def test_a_plan_can_be_given_on_the_command_line() -> None:
    assert plan_in(written(CULPRITS)) == CULPRITS


def test_a_planted_bug_is_told_in_a_trace_that_can_be_read_and_run_again(tmp_path: Path) -> None:
    [planted] = [each for each in BREAKS if each.means == "a Retry-After is not kept"]
    broken_copy(planted, tmp_path)

    told = run(tmp_path, "--seed", str(planted.seed), "--shrink").stdout.splitlines()

    [found] = [line.strip() for line in told if "called before its Retry-After" in line]
    [again] = [line for line in told if line.startswith("again: ")]
    command = shlex.split(again.removeprefix("again: "))
    plan = plan_in(command[command.index("--plan") + 1])
    assert any(choice.name.startswith("far.busy") for choice in plan)
    assert len(plan) < 12
    steps = [line for line in told if " #" in line]
    assert len(steps) < 150
    assert words(found) in map(words, map(str.strip, run(tmp_path, *command[2:]).stdout.splitlines()))
