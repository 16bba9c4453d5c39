"""Rows that cannot be used at all."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Place, fine
from luthier.records.reader import MOST_BAD

CODE = "unreadable"


def look(context: Context) -> Finding:
    """An error where a file holds nothing, or more than 1 % of its rows are bad, since fit then refuses the file."""
    if empty := [file.name for file in context.files() if file.total == 0]:
        return Finding(CODE, "error", f"{', '.join(empty)}: holds no rows", repair="name a file with one row a line")
    rows = [
        FindingRow(Place(row.file, row.line), row.reason)
        for file in context.files()
        for row in file.bad
        if row.kind == "unreadable"
    ]
    refused = context.tokens.refused if context.tokens is not None else []
    rows += [FindingRow(context.data.place(index), reason) for index, reason in refused]
    if not rows:
        return fine(CODE, "every row can be read")
    beyond = [file for file in context.files() if len(file.bad) > MOST_BAD * file.total]
    limit = f"fit leaves bad rows out and refuses a file with more than {MOST_BAD:.0%} of them"
    repair = context.clean("--drop", "unreadable")
    if refused:
        return Finding(
            CODE,
            "error",
            "rows that cannot be used, some of them refused by the chat template",
            len(rows),
            rows,
            repair,
        )
    if beyond:
        return Finding(CODE, "error", f"rows that cannot be read; {limit}", len(rows), rows, repair)
    return Finding(CODE, "warning", f"rows that cannot be read; {limit}", len(rows), rows, repair)
