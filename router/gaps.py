"""Which sequences of a stream have been seen, whatever their order."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Gaps:
    """Which sequences have been seen: all up to `high`, but for the gaps.

    >>> gaps = Gaps(0)
    >>> for seq in (1, 4, 5, 3): gaps.saw(seq)
    >>> gaps.high, gaps.left
    (5, [(2, 2)])
    """

    high: int
    left: list[tuple[int, int]] = field(default_factory=list)

    def saw(self, seq: int) -> None:
        """This one is there. In nearly every case it is the next one."""
        if seq > self.high:
            if seq > self.high + 1:
                self.left.append((self.high + 1, seq - 1))
            self.high = seq
            return
        for index, (first, last) in enumerate(self.left):
            if first <= seq <= last:
                parts = [(first, seq - 1), (seq + 1, last)]
                self.left[index : index + 1] = [part for part in parts if part[0] <= part[1]]
                return
