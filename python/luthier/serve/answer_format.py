"""`response_format` of a chat: which JSON an answer must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.serve.errors import RequestError

__all__ = ["FIELD", "format_error", "schema_of"]

FIELD = "response_format"
_FIELDS = {
    "text": frozenset({"type"}),
    "json_object": frozenset({"type"}),
    "json_schema": frozenset({"type", "json_schema"}),
}
_OBJECT: dict[str, Any] = {"type": "object"}


def schema_of(given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON Schema that a response_format asks answers to keep; None for text.

    `strict` is read and has no meaning: an answer always keeps the schema. Raises RequestError for what is no format.
    """
    if given is None:
        return None
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise format_error(f"type is {kind!r}; it must be one of {', '.join(_FIELDS)}")
    if unknown := sorted(set(given) - _FIELDS[kind]):
        raise format_error(f"{unknown[0]} is not known beside the type {kind}")
    if kind != "json_schema":
        return None if kind == "text" else _OBJECT
    return _named_schema(given.get("json_schema"))


def format_error(message: str, code: str | None = None) -> RequestError:
    """What is wrong with the field."""
    return RequestError(400, f"{FIELD}: {message}", FIELD, code)


def _named_schema(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise format_error('json_schema is missing; it must be {"name": ..., "schema": ...}')
    if unknown := sorted(set(given) - {"name", "description", "schema", "strict"}):
        raise format_error(f"json_schema.{unknown[0]} is not known")
    if not isinstance(given.get("name"), str):
        raise format_error("json_schema.name is missing; it must be a text")
    schema = given.get("schema")
    if not isinstance(schema, dict):
        raise format_error("json_schema.schema is missing; it must be a JSON Schema, which is an object")
    return schema
