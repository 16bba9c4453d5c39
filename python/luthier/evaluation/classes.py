"""Figures for tasks with few distinct answers."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.evaluation.result import OTHER, ClassFigures, Classification

MAX_CLASSES = 50
MIN_ROWS_PER_CLASS = 2


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
