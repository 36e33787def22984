"""A district for many destinations: students of 21 fields, of which each destination is told ten by names of
its own, so that no two are told the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bus import subjects
from bus.codec import encode_event
from bus.messages import Event, Op
from bus.port import Message

FIELDS: Final = 21
TOLD: Final = 10
NOBODY: Final = 'f2 == "nobody"'
"""A `when` that is false for every student."""


def configure(config: Path, destinations: Mapping[str, dict[str, Any]]) -> None:
    """Write the files. By destination what its file says beside what it is told. JSON is YAML."""
    fields = {f"f{n}": {"class": "directory"} for n in range(FIELDS)}
    source = {
        "adapter": "delimited",
        "settings": {"folder": "${state}/sis"},
        "entities": {"student": {"id": "id", "fields": {name: name for name in fields}}},
    }
    _write(config / "district.yaml", {"name": "benchmark", "timezone": "UTC"})
    _write(config / "entities" / "student.yaml", {"entity": "student", "owner": "sis", "fields": fields})
    _write(config / "sis.yaml", {"system": "sis", "source": source})
    for number, (name, says) in enumerate(destinations.items()):
        shape = {f"{name}_{n}": f"f{(number + n) % FIELDS}" for n in range(TOLD)} | {"edited": "f1"}
        when = {"when": says["when"]} if "when" in says else {}
        destination = {
            "adapter": "null",
            "mode": "live",
            "deadline": says.get("deadline", "5m"),
            "settings": {"is_": says.get("is_", "good")},
            "entities": {"student": {"fields": shape, **when}},
        }
        _write(config / f"{name}.yaml", {"system": name, "destination": destination})


def events(students: int, turn: int) -> list[Message]:
    """One event for each student: it is new at turn 0, and has one field changed at each later turn."""
    subject, messages = subjects.event("sis", "student", Op.UPDATE), []
    for number in range(students):
        values = {f"f{n}": f"value {n} of {number}" for n in range(FIELDS)}
        values["f1"] = f"edit {turn} of {number}"
        event = Event(f"{turn}.{number}", "sis", "student", Op.UPDATE, str(number), values, True, 1 + turn)
        messages.append(Message(subject, encode_event(event), event.id))
    return messages


def _write(path: Path, says: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(says))
