"""Prompts that end where tokenisation would merge with the answer."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, Skipped, fine
from luthier.checks.texts import answer, conversation

CODE = "boundary"


def look(context: Context) -> Finding | Skipped:
    """Rows whose prompt, tokenised alone as in use, is not how the row's tokens begin in training."""
    survey = context.tokens
    if survey is None:
        return Skipped(CODE, "comparing the tokens of prompt and row needs --model")
    rows = []
    for index in survey.merged:
        record = context.data.rows[index]
        end, begin = conversation(record)[-8:], answer(record)[:8]
        rows.append(FindingRow(context.data.place(index), f"prompt ends {end!r}, answer begins {begin!r}"))
    if not rows:
        return fine(CODE, "every prompt's tokens are the beginning of its row's")
    message = (
        "rows in which the end of the prompt and the beginning of the answer become one token: the model is trained on "
        "tokens that it never sees in use; take white space off the answer's beginning or the prompt's end"
    )
    return Finding(CODE, "warning", message, len(rows), rows, context.show(rows[0].place))
