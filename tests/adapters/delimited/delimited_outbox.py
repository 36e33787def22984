"""A folder of delimited files, and students for it."""

from collections.abc import Mapping

from folders import OutFolder, deliver

from adapters.delimited import Destination, DestinationSettings
from bus.adapter import Delivery, EntityShape
from bus.messages import Op, Value

SHAPE = EntityShape(
    "student",
    "students",
    "id",
    (
        ("name", "text"),
        ("grade", "integer"),
        ("average", "number"),
        ("enrolled", "boolean"),
        ("born", "date"),
        ("classes", "list"),
    ),
)
PUPIL: Mapping[str, Value] = {
    "name": "Tam",
    "grade": 9,
    "average": 1.5,
    "enrolled": True,
    "born": "2011-02-28",
    "classes": ("art", "music"),
}
CHANGES = {"kind": "changes", "operation": {}, "file": "{table}-{seq}.csv"}


def student(id_: str, seq: int = 1, op: Op = Op.UPDATE, *, local_id: str = "", **fields: Value) -> Delivery:
    return deliver("students", id_, seq, op, {**PUPIL, **fields}, local_id=local_id)


class Outbox(OutFolder):
    """A folder that a destination writes to."""

    def destination(self, *entities: EntityShape, **settings: object) -> Destination:
        given = DestinationSettings.model_validate({"folder": self.folder, **settings})
        return Destination(given, self.around(*(entities or (SHAPE,))))

    def text(self, name: str = "students.csv", encoding: str = "utf-8") -> str:
        return (self.folder / name).read_bytes().decode(encoding)
