"""Answers that something else gave to the test rows, such as a hosted model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from luthier.errors import InputError
from luthier.records import Record
from luthier.records.lines import parsed_lines
from luthier.records.rows import BadRowError

MOST_CHARACTERS = 1_000_000
"""A longer answer would take minutes to compare."""


def read_predictions(path: str | os.PathLike[str], rows: Sequence[Record]) -> list[str]:
    """One answer for each of `rows`, from a file of JSON lines with `output` (text).

    The lines are in the order of the rows; or each has `line`, the line of the test file that it answers, as in
    predictions.jsonl. Raises InputError, with the line, for a file that cannot be read or whose answers are not those
    of the rows.
    """
    file = Path(path)
    outputs: list[str] = []
    lines: list[int | None] = []
    try:
        with file.open("rb") as stream:
            for number, value in parsed_lines(stream):
                where = f"{file}:{number}"
                if isinstance(value, BadRowError):
                    raise InputError(f"{where}: {value}")
                if not isinstance(value, dict) or not isinstance(value.get("output"), str):
                    raise InputError(f"{where}: the line is no object with `output`, the answer as a text")
                if len(value["output"]) > MOST_CHARACTERS:
                    raise InputError(f"{where}: `output` has {len(value['output']):,} characters; that is no answer")
                outputs.append(value["output"])
                lines.append(_line(value, where))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from None
    if len(outputs) != len(rows):
        raise InputError(
            f"{file}: {len(outputs):,} answers for {len(rows):,} test rows; give one line with `output` for each row, "
            "in the order of the test file"
        )
    if None in lines:
        return outputs
    by_line = dict(zip(lines, outputs, strict=True))
    missing = next((row for row in rows if row.line not in by_line), None)
    if missing is not None:
        raise InputError(f"{file}: no answer has the `line` {missing.line} of {missing.where}")
    return [by_line[row.line] for row in rows]


def _line(value: dict[str, object], where: str) -> int | None:
    line = value.get("line")
    if line is not None and (isinstance(line, bool) or not isinstance(line, int)):
        raise InputError(f"{where}: `line` is no whole number; it is the line of the test file that `output` answers")
    return line
