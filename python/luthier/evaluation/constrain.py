"""What answers are constrained to, from rows with answers: `--constrain labels|schema`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.errors import InputError
from luthier.evaluation.json_answers import is_json, parse, schema_of
from luthier.generation.constraint import KINDS, Constraint, Labels, Schema

MOST_LABELS = 1000
"""More different answers than this are no closed set."""

MOST_CHARACTERS = 1000
"""A longer answer is no label."""

_OPEN = frozenset(
    ("additionalProperties", "patternProperties", "unevaluatedProperties", "$ref", "allOf", "anyOf", "oneOf")
)
"""Keywords by which a schema says itself which other keys an object may have."""


def constraint_of(
    kind: str, answers: Sequence[str], schema: Mapping[str, Any] | None = None, source: str = "the rows"
) -> Constraint:
    """The constraint that `answers` show; `source` says in messages where they stand.

    labels: the different answers. schema: `schema`, or what the answers have in common (`json_answers.schema_of`), as
    `for_writing` makes it. Raises InputError for an unknown kind, for no or too many answers, for answers that are no
    JSON where no schema is given, and for a schema that llguidance cannot follow.
    """
    if kind == "labels":
        return _labels(answers, source)
    if kind != "schema":
        raise InputError(f"[constrain] answers can be constrained to {' or '.join(KINDS)}, not to {kind!r}")
    texts = [answer for answer in answers if is_json(answer)]
    if schema is None and (not texts or len(texts) < len(answers)):
        raise InputError(
            f"[constrain] {len(answers) - len(texts):,} of {len(answers):,} answers in {source} are no JSON objects or "
            "arrays; give --schema FILE"
        )
    if schema is not None and not isinstance(schema, Mapping):
        raise InputError(f"[constrain] the JSON Schema is {type(schema).__name__}; it must be a JSON object")
    values = [parse(text) for text in texts]
    found = Schema(for_writing(schema if schema is not None else schema_of(values), values))
    found.check()
    return found


def for_writing(schema: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """The schema as one that answers are written by, in the manner of `values`, JSON values that keep it.

    llguidance writes the keys of an object in the order of its `properties`: they are put into the order in which the
    values have them, by mean place, and those that no value has come last. Keys that a schema neither names nor forbids
    are forbidden, since a weak model would go on with keys of its own until its tokens are used up.
    """
    ordered = dict(schema)
    objects = [value for value in values if isinstance(value, dict)]
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        places: dict[str, list[int]] = {key: [] for key in properties}
        for value in objects:
            for place, key in enumerate(value):
                if key in places:
                    places[key].append(place)
        last = max((len(value) for value in objects), default=0)
        keys = sorted(places, key=lambda key: sum(places[key]) / len(places[key]) if places[key] else last)
        ordered["properties"] = {
            key: _below(properties[key], [value[key] for value in objects if key in value]) for key in keys
        }
        required = schema.get("required", [])
        known = isinstance(required, list) and all(isinstance(key, str) and key in places for key in required)
        if known and not _OPEN.intersection(schema):
            ordered["additionalProperties"] = False
    if "items" in schema:
        items = [item for value in values if isinstance(value, list) for item in value]
        ordered["items"] = _below(schema["items"], items)
    return ordered


def read_labels(path: str | os.PathLike[str], **reading: Any) -> Labels:
    """The labels in a file: one on each line of a .txt file, else the answers of its rows; `reading` as in
    `luthier.read`. Raises InputError."""
    file = Path(path)
    if file.suffix.lower() == ".txt":
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise InputError(f"{file}: the labels cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{file}: the labels are not UTF-8 text (byte {error.start:,})") from None
        return _labels([line.strip() for line in lines], str(file))
    from luthier.records import read

    return _labels([row.reference or "" for row in read(file, **reading)], str(file))


def _labels(answers: Sequence[str], source: str) -> Labels:
    found = sorted({answer for answer in answers if answer.strip()})
    if not found:
        raise InputError(f"[constrain] there is no answer to take labels from in {source}; give --labels FILE")
    if len(found) > MOST_LABELS:
        raise InputError(
            f"[constrain] {len(found):,} different answers in {source}, more than {MOST_LABELS:,}: that is no closed "
            "set; give --labels FILE or leave out --constrain"
        )
    if (longest := max(map(len, found))) > MOST_CHARACTERS:
        raise InputError(
            f"[constrain] an answer in {source} has {longest:,} characters; a label has {MOST_CHARACTERS:,} at most"
        )
    return Labels(tuple(found))


def _below(schema: Any, values: Sequence[Any]) -> Any:
    return for_writing(schema, values) if isinstance(schema, Mapping) else schema
