"""A watched folder of delimited files."""

from pathlib import Path

from folders import InFolder

from adapters.delimited import Source, SourceSettings
from bus.adapter import EntityShape

STUDENTS = EntityShape("student", "students", "id", (("id", "text"), ("name", "text"), ("grade", "text")))
STAFF = EntityShape("staff", "staff", "id", (("id", "text"), ("name", "text")))
GOOD = "id,name,grade\r\n1,Tam,09\r\n2,Ash,10\r\n"
STAFF_GOOD = "id,name\r\n7,Elm\r\n"


class Inbox(InFolder):
    """A folder that a source watches."""

    def put(self, content: str | bytes = GOOD, name: str = "students.csv") -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def source(self, *entities: EntityShape, **settings: object) -> Source:
        given = {"folder": self.folder, "settle": 0, **settings}
        return Source(SourceSettings.model_validate(given), self.around(*(entities or (STUDENTS,))))
