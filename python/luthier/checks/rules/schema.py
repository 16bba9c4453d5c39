"""Answers that are not JSON where most are, or that break a JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine
from luthier.checks.texts import answer, quoted
from luthier.errors import InputError
from luthier.evaluation.json_answers import is_value, parse

CODE = "schema"

# Fewer than this are JSON: then JSON is not the format of the answers.
_MOST = 0.5


def look(context: Context) -> Finding | Skipped:
    """An error where --schema is given and broken, else a warning where a minority of the answers is not JSON."""
    validator = None if context.schema is None else validator_for(context.schema)
    invalid: list[FindingRow] = []
    broken: list[FindingRow] = []
    structured = total = calls = 0
    for file in context.files():
        for index, record in enumerate(file.rows):
            if record.reference is None:
                continue
            text = answer(record)
            value = parse(text)
            total += 1
            calls += bool(record.messages[-1].tool_calls)
            structured += isinstance(value, dict | list)
            if not is_value(value) or (validator is None and not isinstance(value, dict | list)):
                invalid.append(FindingRow(file.place(index), f"not JSON: {quoted(text)}"))
            elif validator is not None:
                error = next(iter(validator.iter_errors(value)), None)
                if error is not None:
                    broken.append(FindingRow(file.place(index), f"at {path_of(error.instance_path)}: {_short(error)}"))
    rows = [*broken, *invalid]
    if validator is not None:
        if not rows:
            return fine(CODE, f"all {total:,} answers keep the schema")
        message = (
            f"answers that break the schema ({len(broken):,}) or are not JSON ({len(invalid):,}) of {total:,}: "
            "each teaches to break it"
        )
        return Finding(CODE, "error", message, len(rows), rows, context.clean("--drop", "schema", *_schema(context)))
    if calls:  # a row that calls no tool answers in words, and has to
        return Skipped(CODE, "rows that call tools answer in words where there is nothing to call")
    if structured < _MOST * total or total == 0:
        return Skipped(CODE, "the answers are no JSON, and no --schema was given")
    if not rows:
        return fine(CODE, f"all {total:,} answers are JSON")
    message = f"answers that are not JSON, where {structured / total:.1%} are"
    return Finding(CODE, "warning", message, len(rows), rows, context.clean("--drop", "schema"))


def validator_for(schema: Mapping[str, Any] | bool) -> Any:
    """A compiled JSON Schema; 2020-12 unless it names another draft. Raises InputError where it is none."""
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(dict(schema) if isinstance(schema, Mapping) else schema)
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise InputError(f"--schema: not a valid JSON Schema: {str(error).splitlines()[0]}") from None


def path_of(path: Any) -> str:
    """`["items", 0, "price"]` as `$.items[0].price`."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _short(error: Any) -> str:
    text = str(error.message).splitlines()[0]
    return text if len(text) <= 120 else text[:60] + " ... " + text[-55:]


def _schema(context: Context) -> list[str]:
    return ["--schema", context.schema_file] if context.schema_file is not None else []
