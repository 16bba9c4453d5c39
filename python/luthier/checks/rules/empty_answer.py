"""Rows whose answer is missing, white space, or what a table writes for a missing value."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Place, fine
from luthier.checks.texts import answer, quoted
from luthier.records.reader import MOST_BAD

CODE = "empty-answer"

_MISSING = frozenset({"nan", "null", "undefined", "#n/a", "<na>", "#value!", "#ref!"})
# More often than this it is an answer like any other.
_MOST_MISSING = 0.05


def look(context: Context) -> Finding:
    """An error where so many rows are bad that fit refuses the file."""
    rows = [
        FindingRow(Place(row.file, row.line), row.reason)
        for file in context.files()
        for row in file.bad
        if row.kind == "empty-answer"
    ]
    empty = len(rows)
    for file in context.files():
        missing = [index for index, record in enumerate(file.rows) if answer(record).strip().lower() in _MISSING]
        if len(missing) <= _MOST_MISSING * len(file.rows):
            rows += [FindingRow(file.place(i), f"the answer is {quoted(answer(file.rows[i]))}") for i in missing]
    if not rows:
        return fine(CODE, "every row has an answer")
    beyond = empty > 0 and any(len(file.bad) > MOST_BAD * file.total for file in context.files())
    message = "rows without an answer, from which nothing can be learned"
    if beyond:
        message += f"; with more than {MOST_BAD:.0%} bad rows fit refuses the file"
    return Finding(
        CODE, "error" if beyond else "warning", message, len(rows), rows, context.clean("--drop", "empty-answers")
    )
