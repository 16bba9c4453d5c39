"""Figures for tasks whose answers are JSON: valid, schema kept, equal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from luthier.errors import InputError

_INVALID = object()


@dataclass(frozen=True)
class JsonFigures:
    """Figures for a task whose references are JSON, as shares of the rows: the output is valid JSON; it keeps the
    schema; it equals the reference as a value, whatever the order of keys and the white space."""

    valid_json: float
    schema_kept: float
    json_equal: float

    def to_json(self) -> dict[str, Any]:
        """Its three keys."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> JsonFigures | None:
        """From the content of evaluation.json."""
        if "valid_json" not in values:
            return None
        return JsonFigures(values["valid_json"], values["schema_kept"], values["json_equal"])

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        yield "valid JSON", f"{self.valid_json:.1%}"
        yield "schema kept", f"{self.schema_kept:.1%}"
        yield "equal as JSON", f"{self.json_equal:.1%}"


def is_json(answer: str) -> bool:
    """Whether an answer is a JSON object or array."""
    return isinstance(parse(answer), dict | list)


def are_json(answers: Sequence[str]) -> bool:
    """Whether every answer is a JSON object or array."""
    return len(answers) > 0 and all(map(is_json, answers))


def json_figures(
    expected: Sequence[str], predicted: Sequence[str], schema: Mapping[str, Any] | None = None
) -> JsonFigures:
    """Shares of the predictions that are valid JSON, keep the schema, and equal their reference as a value.

    Without `schema` (a JSON Schema) the rule is `schema_of` the references that are JSON. Raises InputError for a
    schema that is none.
    """
    import jsonschema_rs

    if schema is not None and not isinstance(schema, Mapping):
        raise InputError(f"[evaluate] the JSON Schema is {type(schema).__name__}; it must be a JSON object")
    references = [parse(answer) for answer in expected]
    known = [value for value in references if value is not _INVALID]
    values = [parse(answer) for answer in predicted]
    try:
        validator = jsonschema_rs.validator_for(dict(schema) if schema is not None else schema_of(known))
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise InputError(f"[evaluate] the JSON Schema is not valid: {str(error).splitlines()[0]}") from error
    count = len(values)
    return JsonFigures(
        valid_json=sum(value is not _INVALID for value in values) / count,
        schema_kept=sum(value is not _INVALID and validator.is_valid(value) for value in values) / count,
        json_equal=sum(
            value is not _INVALID and same(value, reference)
            for value, reference in zip(values, references, strict=True)
        )
        / count,
    )


def parse(text: str) -> Any:
    """The value of a JSON text, or a private mark for a text that is none. NaN and infinities are none, as the standard
    says."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _INVALID


def is_value(value: Any) -> bool:
    """Whether what `parse` gave is a JSON value and not the mark of a text that is none."""
    return value is not _INVALID


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: true is not 1, but 1 is 1.0; the order of keys does not matter."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def schema_of(values: Iterable[Any]) -> dict[str, Any]:
    """The JSON Schema that the values have in common.

    At each place: the types that occur there; for objects, the keys that occur (no others), of which those in every
    object are required; for arrays, one schema for all items. An array that is always empty may hold anything.
    """
    found = list(values)
    types = sorted({_type(value) for value in found})
    if "integer" in types and "number" in types:
        types.remove("integer")
    schema: dict[str, Any] = {"type": types}
    objects = [value for value in found if isinstance(value, dict)]
    if objects:
        keys = sorted({key for value in objects for key in value})
        schema["properties"] = {key: schema_of([value[key] for value in objects if key in value]) for key in keys}
        schema["required"] = [key for key in keys if all(key in value for value in objects)]
        schema["additionalProperties"] = False
    items = [item for value in found if isinstance(value, list) for item in value]
    if items:
        schema["items"] = schema_of(items)
    return schema


def _type(value: Any) -> str:
    if value is None:
        return "null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (dict, "object"),
    )
    return next(name for kind, name in kinds if isinstance(value, kind))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
