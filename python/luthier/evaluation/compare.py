"""Two systems on the same rows: by how much the one is better, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from luthier.evaluation.intervals import Interval, McNemar, mcnemar, paired_bootstrap
from luthier.evaluation.metrics import compared_metrics, rescored
from luthier.evaluation.result import Evaluation


@dataclass(frozen=True)
class Difference:
    """A metric of both systems, and the first minus the second with its 95 % interval (paired bootstrap)."""

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """The difference with the ends of its interval."""
        return Interval(self.difference, self.low, self.high)


@dataclass(frozen=True)
class Comparison:
    """`first` beside `second`: the task's primary metric comes first in `differences`; `exact_match` is McNemar's test
    of the rows that are exactly right."""

    first: str
    second: str
    differences: list[Difference]
    exact_match: McNemar

    @property
    def primary(self) -> Difference:
        """The difference in the metric that the task is judged by."""
        return self.differences[0]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Comparison:
        """From what `to_json` gave."""
        return Comparison(
            first=values["first"],
            second=values["second"],
            differences=[Difference(**item) for item in values["differences"]],
            exact_match=McNemar(**values["exact_match"]),
        )


def compare(first: Evaluation, second: Evaluation, first_name: str = "tuned", second_name: str = "other") -> Comparison:
    """Compares two evaluations with their predictions, on the same rows in the same order.

    The metrics are those of the first one's task. Raises ValueError where the rows are not the same.
    """
    if [_row(item) for item in first.predictions] != [_row(item) for item in second.predictions]:
        raise ValueError("[compare] the two evaluations are not of the same rows")
    differences = []
    others = second.predictions if second.task == first.task else rescored(first.task, second.predictions)
    metrics = zip(compared_metrics(first.task, first.predictions), compared_metrics(first.task, others), strict=True)
    for one, other in metrics:
        found = paired_bootstrap(one, other)
        differences.append(Difference(one.name, one.figure(), other.figure(), found.value, found.low, found.high))
    test = mcnemar([item.correct for item in first.predictions], [item.correct for item in second.predictions])
    return Comparison(first_name, second_name, differences, test)


def _row(prediction: Any) -> tuple[str, int, str]:
    return prediction.file, prediction.line, prediction.expected.strip()
