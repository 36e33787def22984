"""Which numbers came before."""

from router.core.once import PAGE, Once


def test_each_number_is_there_for_the_first_time_once() -> None:
    numbers = [0, 1, 7, 8, PAGE - 1, PAGE, 3 * PAGE + 5, 2**40]
    once = Once()

    assert [once.first(number) for number in numbers] == [True] * len(numbers)
    assert [once.first(number) for number in numbers] == [False] * len(numbers)


def test_a_million_numbers_take_little_room() -> None:
    once = Once()

    assert all(once.first(number) for number in range(1_000_000))
    assert sum(len(page) for page in once._pages.values()) < 200_000
