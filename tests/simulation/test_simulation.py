"""The router under faults and crashes from a seed. More: `python tests/simulation/run.py --seeds 2000`."""

import pytest
from simulation.run import simulate

SEEDS = range(1, 61)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_is_settled_once_and_every_copy_is_right(seed: int) -> None:
    result = simulate(seed)

    assert not result.broken, f"seed {seed}: " + "\n".join([*result.broken, "", *result.trace[-80:]])


def test_without_faults_no_record_is_sent_twice_in_one_version() -> None:
    result = simulate("calm", faults=0.0, lives=0)

    assert not result.broken
    assert result.sent_most == 1


def test_a_run_is_its_seed() -> None:
    first, second = simulate(17), simulate(17)

    assert first.trace == second.trace
    assert first.crashes > 0
