"""Two-way systems and crashes from a seed. More: `python tests/simulation/run_of_three.py --seeds 500`."""

import pytest
from simulation.agreement import puts, told_conflicts
from simulation.run_of_three import simulate
from simulation.town_of_three import TownOfThree

SEEDS = range(1, 13)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_all_agree_and_nobody_was_wronged(seed: int) -> None:
    result = simulate(seed)

    assert not result.broken, f"seed {seed}: " + "\n".join([*result.broken, "", *result.trace[-80:]])


def test_a_run_has_all_that_it_is_about() -> None:
    """Else the test above would pass because nothing happens."""
    seen = {"conflicts": 0, "puts": 0, "picks": 0, "revs": 0}
    for seed in SEEDS[:8]:
        town = TownOfThree(seed, faults=0.0)
        try:
            town.live()
            seen["conflicts"] += len(told_conflicts(town))
            seen["puts"] += puts(town)
            seen["picks"] += town.picks
            seen["revs"] += len(town.server.streams["CHANGES"].history)
        finally:
            town.close()

    assert all(count > 2 for count in seen.values()), seen
