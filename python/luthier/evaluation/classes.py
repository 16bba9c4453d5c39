"""Figures for tasks with few distinct answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MAX_CLASSES = 50
MIN_ROWS_PER_CLASS = 2
OTHER = "(other)"
"""The column of the confusion for predictions that are no reference answer."""


@dataclass(frozen=True)
class ClassFigures:
    """How one answer was predicted; `support` counts the rows whose reference it is."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Classification:
    """Figures for a task with few distinct answers. Macro figures are plain means over the answers of the references.

    `confusion[i][j]` counts rows with reference `labels[i]` and prediction `labels[j]`; one column more, "(other)",
    counts predictions that are no reference answer.
    """

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    per_class: dict[str, ClassFigures]
    labels: list[str]
    confusion: list[list[int]]

    def to_json(self) -> dict[str, Any]:
        """Its keys; `confusion` holds the names of its columns and the counts."""
        values = asdict(self)
        values["confusion"] = {"labels": [*values.pop("labels"), OTHER], "counts": self.confusion}
        return values

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Classification | None:
        """From the content of evaluation.json."""
        if "per_class" not in values:
            return None
        names = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
        return Classification(
            **{name: values[name] for name in names},
            per_class={label: ClassFigures(**found) for label, found in values["per_class"].items()},
            labels=list(values["confusion"]["labels"][:-1]),
            confusion=[list(row) for row in values["confusion"]["counts"]],
        )

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        yield "accuracy", f"{self.accuracy:.1%}"
        yield "macro precision", f"{self.macro_precision:.3f}"
        yield "macro recall", f"{self.macro_recall:.3f}"
        yield "macro F1", f"{self.macro_f1:.3f}"


def is_classification(expected: Sequence[str]) -> bool:
    """The rule: 2 to 50 distinct reference answers, each on one line, and on average two rows or more for each."""
    distinct = set(expected)
    few = 2 <= len(distinct) <= MAX_CLASSES and len(expected) >= MIN_ROWS_PER_CLASS * len(distinct)
    return few and not any("\n" in answer for answer in distinct)


def classification(expected: Sequence[str], predicted: Sequence[str]) -> Classification:
    """Precision, recall and F1 of each reference answer, their means, and the confusion.

    Answers are compared as they are (strip them first). Where a figure has nothing to divide by it is 0.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels = sorted(set(expected))
    known = set(labels)
    other = OTHER
    while other in known:
        other += "'"
    shown = [answer if answer in known else other for answer in predicted]
    precision, recall, f1, support = precision_recall_fscore_support(
        list(expected), shown, labels=labels, average=None, zero_division=0
    )
    counts = confusion_matrix(list(expected), shown, labels=[*labels, other])[: len(labels)]
    per_class = {
        label: ClassFigures(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, label in enumerate(labels)
    }
    return Classification(
        accuracy=sum(a == b for a, b in zip(expected, predicted, strict=True)) / len(expected),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        per_class=per_class,
        labels=labels,
        confusion=[[int(count) for count in row] for row in counts],
    )
