"""Which numbers came before: a bit for each, so that millions of them take no room."""

from typing import Final

PAGE: Final = 1 << 15


class Once:
    """Remembers whole numbers that lie close together, as sequences do."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def first(self, number: int) -> bool:
        """Is it there for the first time?

        >>> once = Once()
        >>> once.first(7), once.first(8), once.first(7)
        (True, True, False)
        """
        page, bit = divmod(number, PAGE)
        bits = self._pages.setdefault(page, bytearray(PAGE // 8))
        place, mask = bit >> 3, 1 << (bit & 7)
        if bits[place] & mask:
            return False
        bits[place] |= mask
        return True
