"""A system message that differs in a few rows."""

from __future__ import annotations

from collections import Counter

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, fine
from luthier.checks.texts import instruction, quoted

CODE = "rare-system"

# Data of several tasks has several system messages, each in many rows; a typing error or an old version stands in few.
USUAL = 0.8
RARE = 0.05


def look(context: Context) -> Finding:
    """Where one system message stands in 80 % of the rows: those that stand in under 5 %, in any of the files."""
    counts = Counter(instruction(record) for record in context.data.rows)
    total = len(context.data.rows)
    if not total:
        return fine(CODE, "there are no rows")
    usual, most = counts.most_common(1)[0]
    if most < USUAL * total:
        return fine(CODE, f"{len(counts):,} system messages, none in {USUAL:.0%} of the rows")
    rows = []
    for file in context.files():
        own = Counter(instruction(record) for record in file.rows)
        for index, record in enumerate(file.rows):
            text = instruction(record)
            if text != usual and (own[text] < RARE * len(file.rows) or file is not context.data):
                rows.append(FindingRow(file.place(index), _difference(text, usual)))
    if not rows:
        return fine(CODE, "one system message" if usual else "no system message")
    message = (
        f"rows whose system message is not the one that {most / total:.1%} of the rows have (a message in under "
        f"{RARE:.0%} of the rows is taken for a slip): the model would learn to depend on which one it gets"
    )
    return Finding(CODE, "warning", message, len(rows), rows, context.clean("--drop", "rare-system"))


def _difference(text: str, usual: str) -> str:
    if not text:
        return "no system message"
    if not usual:
        return f"a system message: {quoted(text)}"
    place = next((i for i, (a, b) in enumerate(zip(text, usual)) if a != b), min(len(text), len(usual)))
    if place < 12:
        return f"another system message: {quoted(text)}"
    return f"differs from character {place + 1}: {quoted(text[max(0, place - 12) : place + 24])}"
