"""Rows longer than the length limit, and how much of their answers is lost."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine

CODE = "truncated"

# As for bad rows: a cut that takes the whole answer makes a row useless.
_MOST_LOST = 0.01


def look(context: Context) -> Finding | Skipped:
    """A warning where rows are cut, an error where more than 1 % of the rows lose their whole answer."""
    survey = context.tokens
    if survey is None:
        return Skipped(CODE, "counting tokens needs --model")
    limit = context.max_length
    if not survey.cut:
        return fine(CODE, f"no row is longer than --max-length {limit:,}")
    whole = sum(cut.lost == cut.supervised for cut in survey.cut)
    lost = sum(cut.lost for cut in survey.cut)
    ordered = sorted(survey.cut, key=lambda cut: (-cut.lost, cut.row))
    rows = [
        FindingRow(
            context.data.place(cut.row),
            f"{cut.tokens:,} tokens; {cut.lost:,} of {cut.supervised:,} tokens of the answer are lost",
        )
        for cut in ordered
    ]
    message = (
        f"rows longer than --max-length {limit:,}; {lost:,} tokens of answers are lost, "
        f"and {whole:,} rows lose their whole answer"
    )
    severe = whole > _MOST_LOST * len(context.data.rows)
    longest = max(cut.tokens for cut in survey.cut)
    repair = f"luthier fit ... --max-length {longest} (takes more memory: luthier plan)"
    return Finding(CODE, "error" if severe else "warning", message, len(rows), rows, repair)
