"""What goes wrong, when, and for how long: all of it from the seed, or from a plan."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

from simulation.choices import Choices
from simulation.clock import VirtualLoop

from bus.errors import Unavailable

FAULTS: Final = (
    "bus.refused",  # Unavailable, nothing stored
    "bus.lost",  # stored, but the answer is lost
    "bus.late",  # Unavailable, and stored a moment later
    "bus.torn",  # of several, the first few are stored, then Unavailable
    "bus.full",  # the stream has no room
    "bus.ack",  # an acknowledgement never arrives
    "bus.gone",  # the consumer is gone
    "bus.again",  # what was given and not acknowledged comes once more
    "bus.deaf",  # a look into a stream is not answered
    "bus.outage",  # nothing works for minutes or hours
    "bus.stray",  # what was on the wire when the process died arrives after its end
    "disk.full",
    "source.down",
    "source.cut",  # a reading breaks off in the middle
    "far.down",  # a destination does not answer for a while
    "far.busy",  # 429 for everything, with a Retry-After
    "far.torn",  # it writes some records of a request, and the line is cut
    "far.lie",  # it writes, and says that it is not available
    "far.lie_no",  # it writes, and says no to the record
    "far.lie_later",  # it writes, and says that it did not yet
    "far.lie_yes",  # it does not write, and says that it did
    "far.stray",  # what it was sent and did not answer is carried out long after
    "far.mixed",  # its receipts come in another order
    "far.retry",  # it asks to come again with one record
    "far.silent",  # it gives no receipt for a record
    "far.hang",  # it never answers
    "far.hang_after",  # it writes and never answers
    "far.slow",
    "far.hold",  # it holds a removal for a person
    "far.reject",  # it says no to one version of a record
)
NEVER_CALM: Final = frozenset({"far.retry"})
"""Without it nothing would ever be postponed once all is well, and that has to work then too."""
LONG_DELAY_SHARE: Final = 0.03


class Weather:
    """The faults of one simulation. `calm` ends them all."""

    def __init__(self, choices: Choices, *, share: float = 0.5) -> None:
        self.choices = choices
        self.calm = False
        self.counts: Counter[str] = Counter()
        """How often each thing has gone wrong."""
        climate = choices.chance("climate")
        self.rates = {
            fault: 10 ** climate.uniform(-2.2, -0.3) if climate.random() < share else 0.0 for fault in FAULTS
        }

    def chance(self, kind: str) -> Random:
        """The stream of chance of one kind of thing."""
        return self.choices.chance(kind)

    def happens(self, fault: str, where: str = "") -> bool:
        """Does it happen now?"""
        rate = self.rates[fault]
        if (self.calm and fault not in NEVER_CALM) or not (rate or self.choices.planned):
            return False
        found = self.choices.of(f"{fault}@{where}", False, lambda chance: chance.random() < rate)
        self.counts[fault] += found
        return found

    def delay_s(self, where: str, typical_s: float = 0.002) -> float:
        """How long something takes: mostly about the typical, now and then far longer."""

        def drawn(chance: Random) -> float:
            long = not self.calm and chance.random() < LONG_DELAY_SHARE
            return chance.expovariate(1 / typical_s) * (200 if long else 1)

        return self.choices.of(f"delay@{where}", typical_s, drawn)

    def spell_s(self, where: str) -> float:
        """How long a fault that lasts, lasts: seconds to forty minutes."""
        return self.choices.of(f"spell@{where}", 60.0, lambda chance: float(10 ** chance.uniform(0, 3.4)))


class Outage:
    """Times at which the whole bus is away."""

    def __init__(self, loop: VirtualLoop, weather: Weather, trace: Callable[[str], None]) -> None:
        self._loop = loop
        self._weather = weather
        self._trace = trace
        self._until_s = 0.0

    def check(self, where: str) -> None:
        """Raises Unavailable while it lasts."""
        if self._weather.calm:
            return
        if self._until_s <= self._loop.time() and self._weather.happens("bus.outage", where):
            self._until_s = self._loop.time() + self._weather.spell_s("bus")
            self._trace(f"  the bus is away for {self._until_s - self._loop.time():.0f} s")
        if self._until_s > self._loop.time():
            raise Unavailable(f"{where}: the bus is away")
