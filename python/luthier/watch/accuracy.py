"""Accuracy on new rows with labels, beside that of the evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.drift.statistics import difference_of_shares
from luthier.evaluation.intervals import wilson
from luthier.records import Record


@dataclass(frozen=True)
class Accuracy:
    """The share of new rows answered exactly, with its 95 % interval (Wilson), and the evaluation's where there is one.

    `change` is new less old, `low` to `high` its 95 % interval (Newcombe).
    """

    rows: int
    right: int
    interval: tuple[float, float]
    before: float | None = None
    before_rows: int | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def share(self) -> float:
        """The accuracy on the new rows."""
        return self.right / self.rows

    @property
    def fell(self) -> bool:
        """Whether it is lower than at the evaluation by more than chance."""
        return self.high is not None and self.high < 0

    def __str__(self) -> str:
        text = f"{self.share:.1%} of {self.rows:,} rows ({self.interval[0]:.1%} to {self.interval[1]:.1%})"
        if self.change is None or self.low is None or self.high is None:
            return f"{text}; no evaluation to compare with"
        return f"{text}, {self.before:.1%} at the evaluation: {self.change:+.1%} ({self.low:+.1%} to {self.high:+.1%})"


@dataclass(frozen=True)
class Evaluated:
    """What a run's folder says of its evaluation: accuracy, and the answers given. Any of it may be missing."""

    rows: int | None = None
    right: int | None = None
    outputs: tuple[str, ...] = ()


def read_evaluated(folder: Path) -> Evaluated:
    """What evaluation.json and predictions.jsonl of a run say of its free answers; what cannot be read counts as
    missing."""
    rows = right = None
    answers = "predictions.jsonl"
    try:
        values: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        if values.get("free") is not None:  # new rows are answered freely
            values, answers = values["free"], "free_predictions.jsonl"
        rows, right = int(values["n"]), round(float(values["exact_match"]) * int(values["n"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        rows = right = None
    try:
        lines = (folder / answers).read_text(encoding="utf-8").splitlines()
        outputs = tuple(str(json.loads(line)["output"]) for line in lines)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        outputs = ()
    return Evaluated(rows, right, outputs) if rows else Evaluated(outputs=outputs)


def measure_accuracy(rows: Sequence[Record], outputs: Sequence[str], evaluated: Evaluated) -> Accuracy:
    """The accuracy of outputs on rows that end with the right answer."""
    right = sum(output.strip() == str(row.reference).strip() for row, output in zip(rows, outputs, strict=True))
    share = wilson(right, len(rows))
    found = Accuracy(len(rows), right, (share.low, share.high))
    if evaluated.rows is None or evaluated.right is None:
        return found
    change, low, high = difference_of_shares(right, len(rows), evaluated.right, evaluated.rows)
    before = evaluated.right / evaluated.rows
    return Accuracy(len(rows), right, found.interval, before, evaluated.rows, change, low, high)
