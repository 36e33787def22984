"""JSON Schema of the configuration, for editors. integrations/schema.json is what this gives."""

from typing import Any, Final

from pydantic import BaseModel

from router.config.documents import DistrictFile, SystemFile
from router.config.entity_documents import EntityFile

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FILES: Final[dict[str, type[BaseModel]]] = {
    "district": DistrictFile,
    "entity": EntityFile,
    "system": SystemFile,
}


def schema() -> dict[str, Any]:
    """One schema for the three kinds of file; `#/$defs/district`, `entity` and `system` are each its own."""
    definitions: dict[str, Any] = {}
    for name, model in _FILES.items():
        one = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= one.pop("$defs", {})
        definitions[name] = one
    return {
        "$schema": DIALECT,
        "title": "yellowbus configuration",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in _FILES],
        "$defs": definitions,
    }
