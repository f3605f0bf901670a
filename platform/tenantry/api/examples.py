"""Examples for the document: made of the schemas, so that they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS = {"date": "2030-01-31", "date-time": "2030-01-31T12:00:00Z"}
#: What fields are usually called, and what stands in them; for all others, ``text``.
_BY_NAME = {
    "name": "Rockets",
    "title": "Fly to the moon",
    "username": "ada",
    "slug": "fly-to-the-moon",
    "section": "help",
    "email": "ada@example.com",
    "language": "en",
    "timezone": "Europe/Berlin",
}


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "") -> Any:
    """Return a value that fits a schema.

    :param schemas: those that it may refer to, by name.
    :param name: of the field that it is for.
    """
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, name)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {each: example_of(fields[each], schemas, each) for each in _shown(schema)}
    return _plain(schema, schemas, name)


def _shown(schema: Mapping[str, Any]) -> list[str]:
    """Return the fields that have to be there; where there are none, one that may, as nothing shows little."""
    return [*schema.get("required", ())] or [*schema.get("properties", {})][:1]


def _plain(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return [example_of(schema["items"], schemas, name)]
    if kind == "string":
        return _TEXTS.get(schema.get("format", ""), _BY_NAME.get(name, "text"))
    return {"integer": max(1, schema.get("minimum", 1)), "boolean": True, "null": None}.get(kind or "null")
