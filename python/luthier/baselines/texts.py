"""What of a row the baselines without a model read."""

from __future__ import annotations

from luthier.records import Record


def prompt_text(record: Record) -> str:
    """The contents of the prompt's messages, without a system message, which is the same for all rows of a task."""
    contents = [message.content for message in record.prompt if message.role not in ("system", "developer")]
    return "\n".join(contents)


def answer_text(record: Record) -> str:
    """The right answer without white space at its ends; empty where the row has none."""
    return (record.reference or "").strip()
