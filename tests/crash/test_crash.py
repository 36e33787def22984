"""The crash test at a small size. `make crash` is the large one."""

import os
from pathlib import Path

from crash.run import crash_test
from running import sampled

SEED = os.environ.get("CRASH_SEED", "8")
KILLS = 14
STUDENTS = 200


async def test_whoever_is_killed_stopped_or_cut_off_nothing_is_lost_doubled_or_put_back(
    tmp_path: Path,
) -> None:
    package = sampled(tmp_path / "sample", students=STUDENTS)
    report = await crash_test(tmp_path, package, SEED, KILLS, say=print, long=0.0)
    print(f"seed {SEED}", report.figures)

    assert report.broken == [], f"seed {SEED}: CRASH_SEED={SEED} is the same plan again"
    assert report.figures["troubles"] == KILLS
