"""An invented district: who goes to which school and class on a day, by arithmetic alone.

Nothing is drawn and nothing remembered: every fact is a function of seed, day and number, so that a million
students take no more memory than one, and day 2 is day 1 with its edits.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from math import gcd
from typing import Final, NamedTuple

GRADES: Final = ("KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12")
FIRST_DAY: Final = date(2026, 9, 1)
ROSTER: Final = 20
"""Students that a class has room for."""

_MIX: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


class Level(NamedTuple):
    """One kind of school. `size`: students of one; `minimum`: how many even a small district has."""

    name: str
    first_grade: int
    grades: int
    size: int
    minimum: int
    subjects: tuple[tuple[str, str], ...]


_CORE: Final = (("Homeroom", "HR"), ("English", "ENG"), ("Mathematics", "MAT"), ("Science", "SCI"))
LEVELS: Final = (
    Level("Elementary", 0, 6, 420, 2, (*_CORE, ("Social Studies", "SOC"), ("Art", "ART"))),
    Level("Middle", 6, 3, 650, 1, (*_CORE, ("History", "HIS"), ("Music", "MUS"), ("Sports", "SPO"))),
    Level("High", 9, 4, 1_150, 1, (*_CORE, ("History", "HIS"), ("Spanish", "SPA"), ("Computing", "COM"))),
)


_LEVEL_OF: Final = tuple(level for level in LEVELS for _ in range(level.grades))


class School(NamedTuple):
    """`share`: how many of `shares` seats of its level it has; `first` is the first of them."""

    number: int
    level: Level
    name_number: int
    first: int
    share: int
    shares: int


class Student(NamedTuple):
    """One student on a day. `place`: which one in grade and school, from 0."""

    number: int
    grade: int
    school: School
    place: int
    edits: "Edits"


class Lesson(NamedTuple):
    """A class within its school: `section` of several that a grade has in a subject."""

    grade: int
    subject: int
    section: int


class Edits(NamedTuple):
    """What happened to a student up to a day: how often each, and whether the student has left."""

    renamed: int = 0
    mail: int = 0
    regraded: int = 0
    turned: int = 0
    moved: int = 0
    left: bool = False


def mixed(*numbers: int) -> int:
    """A number that looks drawn, the same for the same arguments everywhere.

    >>> mixed(1, 2) == mixed(1, 2), mixed(1, 2) == mixed(2, 1)
    (True, False)
    """
    state = 0
    for number in numbers:
        state = (state ^ number) * _MIX & _MASK
        state ^= state >> 29
        state = state * 0xBF58476D1CE4E5B9 & _MASK
        state ^= state >> 32
    return state


class District:
    """The district of a seed with so many students on its first day."""

    def __init__(self, students: int, seed: int) -> None:
        self.students, self.seed = students, seed
        self.schools = tuple(self._found_schools())
        self._of_level = {level: [s for s in self.schools if s.level is level] for level in LEVELS}
        self._seats = {level: [s for s in self._of_level[level] for _ in range(s.share)] for level in LEVELS}
        # A few edits of each kind a day: each kind has its own stretch of a shuffled circle of all.
        self._few = max(2, students // 200)
        self._step = next(n for n in range(self._odd(students), 2 * students + 9) if gcd(n, students) == 1)

    def arrived(self, day: int) -> int:
        """How many students there have ever been by a day: numbers are given once."""
        return self.students + (day - 1) * self._few

    def arrival(self, number: int) -> int:
        """The first day of a student."""
        return max(1, (number - self.students) // self._few + 2)

    def on(self, day: int) -> Iterator[Student]:
        """Everybody who is there on a day, by number."""
        for number in range(self.arrived(day)):
            if student := self.student(number, day):
                yield student

    def student(self, number: int, day: int) -> Student | None:
        """One student on a day, or None if not there."""
        edits = self._edits(number, day)
        if edits.left or number >= self.arrived(day):
            return None
        level = _LEVEL_OF[number % 13]
        grade = level.first_grade + (number % 13 - level.first_grade + edits.regraded) % level.grades
        row, seats = number // 13, self._seats[level]
        school = seats[row % len(seats)]
        place = row // len(seats) * school.share + row % len(seats) - school.first
        schools = self._of_level[level]
        if edits.moved:
            school = schools[(schools.index(school) + edits.moved) % len(schools)]
        return Student(number, grade, school, place, edits)

    def sections(self, school: School) -> int:
        """How many classes a subject has in one grade of a school."""
        in_grade = -(-self.students // 13)
        return max(1, -(-in_grade * school.share // (school.shares * ROSTER)))

    def section(self, student: Student, subject: int) -> int:
        """Which class of a subject: neighbours in one are not neighbours in all."""
        sections = self.sections(student.school)
        lap, place = divmod(student.place, sections)
        return (place + lap * subject + student.edits.turned) % sections

    def lessons(self, school: School) -> Iterator[tuple[int, list[Lesson]]]:
        """Each teacher with the classes taught: of small children one class in all subjects, else one
        subject in up to five classes.
        """
        level, sections = school.level, range(self.sections(school))
        grades, subjects = (
            range(level.first_grade, level.first_grade + level.grades),
            range(len(level.subjects)),
        )
        if level.first_grade == 0:
            taught = [[Lesson(g, j, n) for j in subjects] for g in grades for n in sections]
        else:
            all_of = ([Lesson(g, j, n) for g in grades for n in sections] for j in subjects)
            taught = [lessons[at : at + 5] for lessons in all_of for at in range(0, len(lessons), 5)]
        yield from enumerate(taught, 1)

    def _edits(self, number: int, day: int) -> Edits:
        renamed = mail = regraded = turned = moved = 0
        few = self._few
        for today in range(self.arrival(number) + 1, day + 1):
            place = (number * self._step + self._turn_of(today)) % self.students
            kind = place // few
            if kind == 0:
                renamed += 1
            elif kind == 1:
                mail += 1
            elif kind == 2:
                regraded += 1
            elif kind == 3:
                turned += 1
            elif kind in (4, 5):
                moved += 1
            elif kind == 6:
                return Edits(left=True)
        return Edits(renamed, mail, regraded, turned, moved)

    @lru_cache(maxsize=1_000)  # noqa: B019 one district a run
    def _turn_of(self, day: int) -> int:
        return mixed(self.seed, 3, day)

    def _found_schools(self) -> Iterator[School]:
        number = 0
        for level in LEVELS:
            students = self.students * level.grades // 13
            count = max(level.minimum, round(students / level.size))
            shares = [3 + mixed(self.seed, 4, number + n) % 4 for n in range(count)]
            for n, share in enumerate(shares):
                yield School(number, level, number + self.seed, sum(shares[:n]), share, sum(shares))
                number += 1

    def _odd(self, students: int) -> int:
        return max(1, int(students * 0.618) + self.seed % 7)


def day_of(day: int) -> date:
    """The date of a day: day 1 is the first of school."""
    return FIRST_DAY + timedelta(days=day - 1)
