"""A destination with a rate is told steadily, whatever waits."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from simulation.answers import Adapter, keys, students, taken
from simulation.by_hand import empty_town, say

from bus.adapter import Delivery, Receipt


def test_a_destination_with_a_rate_is_told_steadily_after_its_burst() -> None:
    with empty_town() as town:
        lms_file = town.district.systems["lms"]
        assert lms_file.destination
        paced = replace(lms_file, destination=replace(lms_file.destination, rate_per_s=2.0, burst=5))
        town.district = replace(town.district, systems={**town.district.systems, "lms": paced})
        at_s: list[float] = []

        async def take(batch: Sequence[Delivery]) -> list[Receipt]:
            at_s.extend([town.loop.time()] * len(batch))
            return taken(batch)

        lms = Adapter(town, take)
        say(town, *students(25))

        assert town.live()
        assert lms.taken == keys(25)
        assert all(at_s[n + 5] - at_s[n] > 1.9 for n in range(5, 20))
        assert max(later - before for before, later in pairwise(at_s[5:])) < 1.0
