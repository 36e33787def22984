"""A folder of OneRoster zips, and deliveries for it."""

import csv
import io
import zipfile

from folders import OutFolder, deliver

from adapters.oneroster_csv import Destination, DestinationSettings
from bus.adapter import Delivery, EntityShape
from bus.messages import Op, Value

ORG: dict[str, Value] = {"name": "Elm", "type": "school"}
PERSON: dict[str, Value] = {
    "enabledUser": True,
    "orgSourcedIds": ("o1", "o2"),
    "role": "student",
    "username": "u1",
    "givenName": "Tam",
    "familyName": "Elmwick",
    "email": None,
}


def org(id_: str, seq: int = 1, op: Op = Op.UPDATE, **fields: Value) -> Delivery:
    return deliver("orgs", id_, seq, op, {**ORG, **fields})


class Outbox(OutFolder):
    """A folder that a destination writes to."""

    def destination(self, *entities: EntityShape, **settings: object) -> Destination:
        given = DestinationSettings.model_validate({"folder": self.folder, **settings})
        return Destination(given, self.around(*entities))

    def last(self, table: str) -> list[dict[str, str]]:
        """The rows of a table in the newest file."""
        with zipfile.ZipFile(self.folder / self.files()[-1]) as archive:
            text = io.TextIOWrapper(archive.open(f"{table}.csv"), "utf-8", newline="")
            return list(csv.DictReader(text))
