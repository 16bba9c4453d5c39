"""What of a row the baselines without a model read."""

from __future__ import annotations

from luthier.records import Record


def answer_text(record: Record) -> str:
    """The right answer without white space at its ends; empty where the row has none."""
    return (record.reference or "").strip()
