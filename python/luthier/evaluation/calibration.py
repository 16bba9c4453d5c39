"""Whether a model's confidence in its label is the share of rows on which it is right.

The confidence is the probability that the model gives to its most probable label, among the labels. Expected
calibration error (Guo et al. 2017, "On calibration of modern neural networks", equation 3): rows are put into bins of
equal width by confidence, and ECE is the mean over rows of |share right - mean confidence| of the row's bin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from luthier.evaluation.blocks import part

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Rows whose confidence is above `low` and at most `high`: how many, their mean confidence, the share right."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """`ece` over `rows` rows; `accuracy` is that of the most probable label, which need not be the answer that the
    model writes freely; `bins` leaves out the empty ones."""

    ece: float
    rows: int
    confidence: float
    accuracy: float
    bins: list[Bin]

    def to_json(self) -> dict[str, Any]:
        """The key `calibration`."""
        return {"calibration": asdict(self)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Calibration | None:
        """From the content of evaluation.json."""
        found = part(values, "calibration")
        return None if found is None else Calibration(**found | {"bins": [Bin(**item) for item in found["bins"]]})

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        yield f"calibration error (ECE, {self.rows:,} rows)", f"{self.ece:.3f}"


def calibration(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> Calibration:
    """ECE from the confidence of each row, 0 to 1, and whether its most probable label is right."""
    members: list[list[int]] = [[] for _ in range(bins)]
    for row, confidence in enumerate(confidences):
        members[min(max(int(-(-confidence * bins // 1)) - 1, 0), bins - 1)].append(row)
    found = [
        Bin(
            low=index / bins,
            high=(index + 1) / bins,
            rows=len(rows),
            confidence=sum(confidences[row] for row in rows) / len(rows),
            accuracy=sum(right[row] for row in rows) / len(rows),
        )
        for index, rows in enumerate(members)
        if rows
    ]
    count = len(confidences)
    return Calibration(
        ece=sum(item.rows * abs(item.accuracy - item.confidence) for item in found) / count,
        rows=count,
        confidence=sum(confidences) / count,
        accuracy=sum(right) / count,
        bins=found,
    )
