"""A small valid configuration to break in one place."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from router.config import check_folder
from router.core.rules import District

DISTRICT = """\
name: Testville
timezone: America/New_York
"""

SCHOOL = """\
entity: school
owner: sis
fields:
  name: {required: true}
"""

STUDENT = """\
entity: student
owner: sis
fields:
  givenName: {class: directory}
  email: {class: directory}
  birthDate: {type: date, class: sensitive}
  grades: {type: list}
  school: {type: reference, to: school}
"""

SIS = """\
system: sis
source:
  adapter: oneroster_csv
  settings: {folder: /nowhere}
  entities:
    student:
      table: users
      id: sourcedId
      when: role == 'student'
      fields:
        givenName: givenName
        email: email
        school: orgSourcedIds
      normalize:
        email: [trim, lower]
    school:
      table: orgs
      id: sourcedId
      fields:
        name: name
"""

WAREHOUSE = """\
system: warehouse
destination:
  adapter: sql
  settings: {url: "sqlite:////nowhere/x.db"}
  rate: 10/s
  linger: 2s
  entities:
    student:
      when: "'09' in grades"
      fields:
        name: givenName
        mail: email
        code: key
"""


@dataclass(frozen=True)
class Written:
    """A configuration folder of a test."""

    folder: Path
    state: Path

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def check(self) -> tuple[District | None, list[str]]:
        """The District, and the problems as a person sees them, without the folder's name."""
        district, problems = check_folder(self.folder, self.state)
        return district, [str(problem).removeprefix(f"{self.folder}/") for problem in problems]

    def district(self) -> District:
        district, problems = self.check()
        assert district is not None, problems
        return district

    def problems(self) -> list[str]:
        return self.check()[1]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    config = Written(tmp_path / "config", tmp_path / "state")
    config.write("district.yaml", DISTRICT)
    config.write("entities/school.yaml", SCHOOL)
    config.write("entities/student.yaml", STUDENT)
    config.write("sis.yaml", SIS)
    config.write("warehouse.yaml", WAREHOUSE)
    return config
