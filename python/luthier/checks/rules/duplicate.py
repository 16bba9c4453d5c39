"""Rows that stand in the file more than once."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, fine
from luthier.checks.texts import answer, conversation, instruction, key

CODE = "duplicate"


def look(context: Context) -> Finding:
    """Rows with the same system message, conversation and answer as an earlier row, but for case and spacing."""
    first: dict[bytes, int] = {}
    rows = []
    for index, record in enumerate(context.data.rows):
        other = first.setdefault(key(instruction(record), conversation(record), answer(record)), index)
        if other != index:
            rows.append(FindingRow(context.data.place(index), "the same row", context.data.place(other)))
    if not rows:
        return fine(CODE, "no row stands in the file twice")
    share = len(rows) / len(context.data.rows)
    message = (
        f"rows equal to an earlier one but for case and spacing ({share:.1%}): each weighs as often as it stands "
        "there, and a split would put copies on both sides"
    )
    return Finding(CODE, "warning", message, len(rows), rows, context.clean("--drop", "duplicates"))
