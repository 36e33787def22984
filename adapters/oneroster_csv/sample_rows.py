"""The invented district as the rows of OneRoster files."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import repeat
from typing import Final, NamedTuple

from . import sample_names as names
from .sample_district import FIRST_DAY, GRADES, LEVELS, District, Lesson, School, Student, day_of, mixed
from .tables import TABLES

DISTRICT: Final = "d1"
YEAR: Final = "y2026"
_LAST_DAY: Final = "2027-06-10"
_SEXES: Final = ("female", "male", "female", "male", "female", "male", "unspecified", "other")
_RACES: Final = ("americanIndianOrAlaskaNative", "asian", "blackOrAfricanAmerican", "white")
_STATES: Final = ("AZ", "CO", "MN", "OH", "OR", "VT")
TABLES_WRITTEN: Final = (
    "academicSessions",
    "classes",
    "courses",
    "demographics",
    "enrollments",
    "orgs",
    "users",
)

Cells = dict[str, str]


class Member(NamedTuple):
    """One of the staff: `teacher` 0 is the head of the school."""

    school: School
    teacher: int
    lessons: list[Lesson]

    @property
    def id(self) -> str:
        return f"t{self.school.number:03d}-{self.teacher:03d}"


class Roster:
    """All rows of a day, table by table. Cells of one record depend on nothing but its number."""

    def __init__(self, district: District, day: int, version: str, *, guardians: bool) -> None:
        self._district, self._day, self._version, self._guardians = district, day, version, guardians
        self._staff = [
            Member(school, teacher, lessons)
            for school in district.schools
            for teacher, lessons in ((0, list[Lesson]()), *district.lessons(school))
        ]
        self.tables = TABLES_WRITTEN if version == "1.1" else (*TABLES_WRITTEN, "roles")

    def rows(self, table: str) -> Iterator[Cells]:
        """All rows of a table."""
        yield from self.fixed(table)
        for number in range(len(self._staff)):
            yield from self.of_staff(table, number)
        for number in range(self._district.arrived(self._day)):
            yield from self.of_student(table, number)

    def staff(self) -> int:
        return len(self._staff)

    def students(self) -> int:
        """How many student numbers there have been."""
        return self._district.arrived(self._day)

    # What does not change from day to day

    def fixed(self, table: str) -> Iterable[Cells]:
        if table == "academicSessions":
            return _sessions()
        if table == "orgs":
            return self._orgs()
        if table == "courses":
            return self._courses()
        return self._classes() if table == "classes" else ()

    def _orgs(self) -> Iterator[Cells]:
        yield {"sourcedId": DISTRICT, "name": names.DISTRICT, "type": "district", "identifier": "0001"}
        for school in self._district.schools:
            yield {
                "sourcedId": _school(school),
                "name": f"{names.place(school.name_number)} {school.level.name} School",
                "type": "school",
                "identifier": f"{school.number + 1_000}",
                "parentSourcedId": DISTRICT,
            }

    def _courses(self) -> Iterator[Cells]:
        for level in LEVELS:
            for grade in GRADES[level.first_grade : level.first_grade + level.grades]:
                for title, code in level.subjects:
                    yield {
                        "sourcedId": f"k-{code}{grade}",
                        "schoolYearSourcedId": YEAR,
                        "title": f"{title} {grade}",
                        "courseCode": f"{code}{grade}",
                        "grades": grade,
                        "orgSourcedId": DISTRICT,
                        "subjects": title,
                        "subjectCodes": code,
                    }

    def _classes(self) -> Iterator[Cells]:
        for member in self._staff:
            school = member.school
            for lesson in member.lessons:
                title, _ = school.level.subjects[lesson.subject]
                course, grade = _course(school, lesson), GRADES[lesson.grade]
                yield {
                    "sourcedId": _class_id(school, lesson),
                    "title": f"{title} {grade}, section {lesson.section + 1}",
                    "grades": grade,
                    "courseSourcedId": f"k-{course}",
                    "classCode": f"{course}-{lesson.section + 1:02d}",
                    "classType": "scheduled" if lesson.subject else "homeroom",
                    "location": f"Room {100 + mixed(school.number, *lesson) % 80}",
                    "schoolSourcedId": _school(school),
                    "termSourcedIds": f"{YEAR}-1,{YEAR}-2" if lesson.subject else YEAR,
                    "subjects": title,
                    "periods": str(lesson.subject + 1),
                }

    # Staff

    def of_staff(self, table: str, number: int) -> Iterable[Cells]:
        """The rows that are about one of the staff."""
        member = self._staff[number]
        if table == "users":
            return [self._staff_user(number)]
        if table == "roles":
            return [_role(self._staff_user(number))]
        if table == "enrollments":
            school, begin = member.school, FIRST_DAY.isoformat()
            return [_enrollment(member.id, school, lesson, "teacher", begin) for lesson in member.lessons]
        return ()

    def _staff_user(self, number: int) -> Cells:
        member, seed = self._staff[number], self._district.seed
        renamed = sum(mixed(seed, 6, day) % len(self._staff) == number for day in range(2, self._day + 1))
        given, family = names.given(mixed(seed, 7, number)), names.family(mixed(seed, 8, number, renamed))
        head = "administrator" if self._version == "1.1" else "siteAdministrator"
        return {
            "sourcedId": member.id,
            "enabledUser": "true",
            "orgSourcedIds": _school(member.school),
            "role": "teacher" if member.teacher else head,
            "username": f"{given.lower()}.t{number}",
            "givenName": given,
            "familyName": family,
            "identifier": f"{500_000 + number}",
            "email": f"{given}.{family}.{number}@{names.DOMAIN}".lower(),
        }

    # Students and their guardians

    def of_student(self, table: str, number: int) -> Iterable[Cells]:
        """The rows that are about one student, none if not there on the day."""
        if table not in ("users", "roles", "demographics", "enrollments"):
            return ()
        student = self._district.student(number, self._day)
        if student is None:
            return ()
        if table == "demographics":
            return [self._demographics(student)]
        if table == "enrollments":
            return self._enrolled(student)
        users = [self._student_user(student), *self._guardian_users(student)]
        return users if table == "users" else [_role(user) for user in users]

    def _student_user(self, student: Student) -> Cells:
        given, family, mails = self._given(student), self._family(student), student.edits.mail
        again = f".{mails}" if mails else ""
        return {
            "sourcedId": _student_id(student),
            "enabledUser": "true",
            "orgSourcedIds": _school(student.school),
            "role": "student",
            "username": f"{given.lower()}{student.number}",
            "givenName": given,
            "familyName": family,
            "identifier": f"{900_000_000 + student.number}",
            "email": f"{given}.{family}.{student.number}{again}@students.{names.DOMAIN}".lower(),
            "agentSourcedIds": ",".join(user["sourcedId"] for user in self._guardian_users(student)),
            "grades": GRADES[student.grade],
        }

    def _guardian_users(self, student: Student) -> Iterator[Cells]:
        for n in range(1 + student.number % 2) if self._guardians else ():
            given = names.given(mixed(self._district.seed, 9, student.number, n))
            yield {
                "sourcedId": f"g{student.number + 100_001}-{n + 1}",
                "enabledUser": "true",
                "orgSourcedIds": _school(student.school),
                "role": "guardian",
                "username": f"{given.lower()}.g{student.number}-{n + 1}",
                "givenName": given,
                "familyName": self._family(student),
                "phone": f"555-01{student.number % 100:02d}",
                "agentSourcedIds": _student_id(student),
            }

    def _demographics(self, student: Student) -> Cells:
        drawn = mixed(self._district.seed, 10, student.number)
        races = dict.fromkeys(_RACES, "false") | {_RACES[drawn % 4]: "true"}
        return {
            "sourcedId": _student_id(student),
            # The grade of the first day: nobody is born again when a clerk corrects the grade.
            "birthDate": date(2020 - student.number % 13, 1 + drawn % 12, 1 + drawn // 12 % 28).isoformat(),
            "sex": _SEXES[drawn // 400 % 8],
            **races,
            "nativeHawaiianOrOtherPacificIslander": "false",
            "demographicRaceTwoOrMoreRaces": "false",
            "hispanicOrLatinoEthnicity": "true" if drawn // 5_000 % 4 == 0 else "false",
            "countryOfBirthCode": "US",
            "stateOfBirthAbbreviation": _STATES[drawn // 20_000 % 6],
            "cityOfBirth": names.place(drawn // 200_000 % 120),
        }

    def _enrolled(self, student: Student) -> Iterator[Cells]:
        begin = day_of(self._district.arrival(student.number)).isoformat()
        id_, school, grade = _student_id(student), student.school, student.grade
        for subject in range(len(school.level.subjects)):
            lesson = Lesson(grade, subject, self._district.section(student, subject))
            yield _enrollment(id_, school, lesson, "student", begin)

    def _given(self, student: Student) -> str:
        return names.given(mixed(self._district.seed, 1, student.number))

    def _family(self, student: Student) -> str:
        return names.family(mixed(self._district.seed, 2, student.number, student.edits.renamed))


def in_order(version: str, table: str, cells: Cells) -> list[str]:
    """The cells of a row as the file has them."""
    return list(map(cells.get, TABLES[version][table].columns, repeat("")))


def _sessions() -> Iterator[Cells]:
    first, middle = FIRST_DAY.isoformat(), "2027-01-22"
    for id_, title, kind, begin, end, parent in (
        (YEAR, "School year 2026-2027", "schoolYear", first, _LAST_DAY, ""),
        (f"{YEAR}-1", "First semester", "semester", first, middle, YEAR),
        (f"{YEAR}-2", "Second semester", "semester", middle, _LAST_DAY, YEAR),
    ):
        dates = {"startDate": begin, "endDate": end, "schoolYear": "2027"}
        yield {"sourcedId": id_, "title": title, "type": kind, "parentSourcedId": parent, **dates}


def _enrollment(user: str, school: School, lesson: Lesson, role: str, begin: str) -> Cells:
    class_id = _class_id(school, lesson)
    return {
        "sourcedId": f"e-{user}-{class_id}",
        "classSourcedId": class_id,
        "schoolSourcedId": _school(school),
        "userSourcedId": user,
        "role": role,
        "primary": "true" if role == "teacher" else "",
        "beginDate": begin,
        "endDate": _LAST_DAY,
    }


def _role(user: Cells) -> Cells:
    return {
        "sourcedId": f"r-{user['sourcedId']}",
        "userSourcedId": user["sourcedId"],
        "roleType": "primary",
        "role": user["role"],
        "orgSourcedId": user["orgSourcedIds"],
    }


def _school(school: School) -> str:
    return f"o{school.number:03d}"


def _student_id(student: Student) -> str:
    return f"s{student.number + 100_001}"


def _course(school: School, lesson: Lesson) -> str:
    return f"{school.level.subjects[lesson.subject][1]}{GRADES[lesson.grade]}"


def _class_id(school: School, lesson: Lesson) -> str:
    return f"c{school.number:03d}-{_course(school, lesson)}-{lesson.section + 1:02d}"
