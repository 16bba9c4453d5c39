"""`luthier.check`: looks at the rows before anything is fitted to them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.checks.checked_file import CheckedFile, Reading, checked_file, checked_rows
from luthier.checks.context import Context
from luthier.checks.facts import facts_of
from luthier.checks.finding import Finding, Skipped
from luthier.checks.registry import CHECKS, CODES
from luthier.checks.report import CheckReport
from luthier.errors import InputError
from luthier.records.record import Records

if TYPE_CHECKING:
    from luthier.records.record import Record
    from luthier.records.rows import Purpose
    from luthier.text.encode import ChatEncoder

__all__ = ["check", "quick_check", "run_checks"]

# A fit waits for the slow checks where they take a second or two.
_QUICK_ROWS = 5_000
_QUICK_CHARACTERS = 5_000_000


def check(
    data: Any,
    *,
    test: Any = None,
    valid: Any = None,
    schema: str | PathLike[str] | Mapping[str, Any] | None = None,
    model: str | PathLike[str] | None = None,
    max_length: int = 1024,
    text: str | None = None,
    label: str | None = None,
    system: str | PathLike[str] | None = None,
    only: Collection[str] = (),
) -> CheckReport:
    """Looks for what is wrong with training rows, and between them and held-out rows.

        report = lu.check("train.jsonl", test="test.jsonl")
        report["conflict"].rows

    `data`, `test` and `valid` are files, Records, or lists of conversations. `schema` is a JSON Schema or a file with
    one. `model` is the model whose tokenizer and template count tokens; `max_length` is that of the fit. `only` names
    the codes to look for (default: all). Raises InputError where a file cannot be read at all.
    """
    if unknown := [code for code in only if code not in CODES]:
        raise InputError(f"[check] there is no check '{unknown[0]}'; the checks are {', '.join(CODES)}")
    if max_length < 2:
        raise InputError(f"[check] max-length is {max_length}; it must be 2 at least")
    reading = Reading(text, label, None if system is None else str(system))
    held_out = [_file(given, reading, "prompt") for given in (test, valid) if given is not None]
    context = Context(
        data=_file(data, reading, "train"),
        held_out=held_out,
        schema=schema if schema is None or isinstance(schema, Mapping) else read_schema(schema),
        encoder=None if model is None else _encoder(model),
        model=None if model is None else str(model),
        max_length=max_length,
        reading=reading,
        schema_file=None if schema is None or isinstance(schema, Mapping) else str(schema),
    )
    return run_checks(context, only)


def run_checks(context: Context, only: Collection[str] = (), without: Mapping[str, str] | None = None) -> CheckReport:
    """The report of the checks over a context: those of `only` (all where it is empty) but those in `without`, which
    says why."""
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for entry in CHECKS:
        if only and entry.code not in only:
            continue
        if without and entry.code in without:
            skipped.append(Skipped(entry.code, without[entry.code]))
            continue
        result = entry.look(context)
        if isinstance(result, Finding):
            findings.append(result)
        else:
            skipped.append(result)
    return CheckReport(
        name=context.data.name,
        rows=context.data.total,
        findings=tuple(findings),
        skipped=tuple(skipped),
        facts=facts_of(context),
        see_all={finding.code: context.all_rows(finding.code) for finding in findings},
    )


def quick_check(
    train: Sequence[Record],
    reading: Reading,
    *,
    test: str | PathLike[str] | None = None,
    valid: Sequence[Record] | None = None,
) -> CheckReport:
    """The checks before a fit, which has read its rows already: without those of tokens, which the fit counts itself,
    and without the slow ones where there are many rows. Raises InputError where the test file cannot be read."""
    held_out = [] if test is None else [checked_file(test, reading, "prompt")]
    if valid is not None:
        held_out.append(checked_rows(valid, "the validation rows"))
    context = Context(checked_rows(train), held_out, reading=reading)
    without = dict.fromkeys(("truncated", "boundary"), "takes the model's tokens; see luthier check --model")
    rows = [row for file in context.files() for row in file.rows]
    characters = sum(len(message.content) for row in rows for message in row.messages)
    if len(rows) > _QUICK_ROWS or characters > _QUICK_CHARACTERS:
        reason = f"left out for more than {_QUICK_ROWS:,} rows; see luthier check"
        without |= {entry.code: reason for entry in CHECKS if entry.slow}
    return run_checks(context, without=without)


def read_schema(path: str | PathLike[str]) -> Any:
    """The JSON Schema in a file. Raises InputError with file and line."""
    path = Path(path)
    try:
        content = path.read_bytes().decode("utf-8-sig")
        schema = json.loads(content)
    except OSError as error:
        raise InputError(f"{path}: cannot read the JSON Schema: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the JSON Schema is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: not JSON that can be read: {error}") from None
    if not isinstance(schema, dict | bool):
        raise InputError(f"{path}: a JSON Schema is an object, or true or false")
    return schema


def _file(given: Any, reading: Reading, purpose: Purpose) -> CheckedFile:
    if isinstance(given, str | PathLike):
        return checked_file(given, reading, purpose)
    from luthier.models.conversations import is_batch, to_record, training_records

    if isinstance(given, Records):
        return checked_rows(given)
    if purpose == "train":
        return checked_rows(training_records(given))
    batch = given if is_batch(given) else [given]
    return checked_rows([to_record(row, index) for index, row in enumerate(batch)], "the held-out rows")


def _encoder(model: str | PathLike[str]) -> ChatEncoder:
    from luthier.models.load import load_tokenizer
    from luthier.models.locate import locate
    from luthier.text.encode import ChatEncoder

    return ChatEncoder(load_tokenizer(locate(model if isinstance(model, str) else Path(model))))
