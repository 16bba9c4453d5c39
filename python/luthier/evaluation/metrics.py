"""The metrics by which systems are compared, as counts per row, so that rows can be resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.evaluation.calls import same_calls
from luthier.evaluation.fields import field_overlap
from luthier.evaluation.intervals import RowCounts
from luthier.evaluation.ratios import total
from luthier.evaluation.tasks import Task
from luthier.evaluation.writing import chrf_scores

if TYPE_CHECKING:
    from luthier.evaluation.intervals import Counts
    from luthier.evaluation.result import Prediction

PRIMARY: dict[Task, str] = {
    "classify": "accuracy",
    "extract": "field_f1",
    "write": "mean_chrf",
    "call": "call_accuracy",
}
"""What each task is judged by first."""


def row_scores(task: Task, expected: Sequence[str], predicted: Sequence[str]) -> list[float]:
    """The score of each answer, 0 to 1: right or not (classify, call), F1 over the row's fields, or chrF."""
    pairs = list(zip(expected, predicted, strict=True))
    if task == "extract":
        return [total(field_overlap(a, b).fields.values()).f1 for a, b in pairs]
    if task == "write":
        return chrf_scores(expected, predicted)
    if task == "call":
        return [float(same_calls(a, b)) for a, b in pairs]
    return [float(a == b) for a, b in pairs]


def rescored(task: Task, predictions: Sequence[Prediction]) -> list[Prediction]:
    """The predictions with their scores in another task."""
    scores = row_scores(
        task, [one.expected.strip() for one in predictions], [one.output.strip() for one in predictions]
    )
    return [replace(one, score=score) for one, score in zip(predictions, scores, strict=True)]


def compared_metrics(task: Task, predictions: Sequence[Prediction]) -> list[RowCounts]:
    """The metrics of a system's predictions, the task's primary metric first, exact match last."""
    import numpy as np

    def mean(name: str, values: Sequence[float]) -> RowCounts:
        return RowCounts(name, np.array([[value, 1.0] for value in values]), lambda sums: sums[..., 0] / sums[..., 1])

    expected = [prediction.expected.strip() for prediction in predictions]
    predicted = [prediction.output.strip() for prediction in predictions]
    exact = mean("exact_match", [float(prediction.correct) for prediction in predictions])
    if task == "classify":
        return [mean(PRIMARY[task], exact.counts[:, 0].tolist()), _macro_f1(expected, predicted), exact]
    if task == "extract":
        return [_field_f1(expected, predicted), exact]
    return [mean(PRIMARY[task], [prediction.score for prediction in predictions]), exact]


def _field_f1(expected: Sequence[str], predicted: Sequence[str]) -> RowCounts:
    import numpy as np

    rows = [total(field_overlap(a, b).fields.values()) for a, b in zip(expected, predicted, strict=True)]
    counts = np.array([[2.0 * row.right, 2.0 * row.right + row.extra + row.missed] for row in rows])
    return RowCounts("field_f1", counts, _ratio(1.0))


def _macro_f1(expected: Sequence[str], predicted: Sequence[str]) -> RowCounts:
    """Macro F1 over the answers of the references: [rows, 2 x answers] of 2 right and of predicted + wanted."""
    import numpy as np

    place = {label: index for index, label in enumerate(sorted(set(expected)))}
    counts = np.zeros((len(expected), 2, len(place)))
    for row, (wanted, given) in enumerate(zip(expected, predicted, strict=True)):
        counts[row, 0, place[wanted]] = 2.0 * (wanted == given)
        counts[row, 1, place[wanted]] += 1
        if given in place:
            counts[row, 1, place[given]] += 1
    classes = len(place)

    def value(sums: Counts) -> Counts:
        # An answer that a resample neither wants nor predicts is not part of its mean.
        f1 = _ratio(0.0)(np.stack([sums[..., :classes], sums[..., classes:]], axis=-1))
        there = np.maximum((sums[..., classes:] > 0).sum(axis=-1), 1)
        mean: Counts = f1.sum(axis=-1) / there
        return mean

    return RowCounts("macro_f1", counts.reshape(len(expected), 2 * classes), value)


def _ratio(empty: float) -> Callable[[Counts], Counts]:
    """The first of two sums over the second, `empty` where that is 0."""

    def value(sums: Counts) -> Counts:
        import numpy as np

        above, below = sums[..., 0], sums[..., 1]
        shares: Counts = np.divide(above, below, out=np.full(np.shape(below), empty), where=below > 0)
        return shares

    return value
