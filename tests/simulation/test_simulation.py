"""The router under faults and crashes from a seed. More: `make simulate`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulation.run import simulate

SEEDS = range(1, 101)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_is_settled_once_and_every_copy_is_right(seed: int) -> None:
    result = simulate(seed)

    assert not result.broken, f"seed {seed}: " + "\n".join([*result.broken, "", *result.trace[-80:]])


def test_without_faults_no_record_is_sent_twice_in_one_version() -> None:
    result = simulate("calm", faults=0.0, lives=0)

    assert not result.broken
    assert result.sent_most == 1


def test_a_run_can_be_made_again_from_its_choices_alone() -> None:
    result = simulate(17)

    assert simulate(17, plan=result.made).trace == result.trace


def test_a_run_is_its_seed_in_every_process() -> None:
    program = "from simulation.run import simulate; print(*simulate(17).trace, sep='\\n')"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}"},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert runs[0] == runs[1]
    assert runs[0].decode().splitlines() == simulate(17).trace
    assert b" dies " in runs[0]
