"""Baselines, learning curves, figures, classes and confusion, as the template shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from luthier.baselines.show import cells, remarks
from luthier.evaluation.calibration import Calibration
from luthier.evaluation.classes import OTHER, ClassFigures
from luthier.evaluation.fields import FieldFigures
from luthier.evaluation.ratios import Ratios
from luthier.evaluation.result import METRIC_NAMES
from luthier.generation.constraint import KINDS
from luthier.report.charts import Bar, calibration_chart, intervals_chart, learning_chart
from luthier.report.parts import Parts
from luthier.verdict import Thresholds

_NUMBERED_FROM = 7
_LONGEST_NAME = 14
_DARK = 0.65
"""The share from which a cell is so dark that its text is light."""


def baselines_view(parts: Parts, safe: Callable[[str], Any]) -> dict[str, Any] | None:
    """The chart, and the table beside it."""
    found, evaluation = parts.baselines, parts.evaluation
    if found is None or evaluation is None or evaluation.primary is None:
        return None
    own = evaluation.primary
    bars = [Bar(_bar_name(evaluation.called("tuned")), own.value, own.low, own.high, strong=True)]
    for result in sorted(found.results, key=lambda one: -_value(one.evaluation.primary)):
        if (one := result.evaluation.primary) is not None:
            bars.append(Bar(_bar_name(result.name), one.value, one.low, one.high))
    head, *rows = cells(found)
    metric = METRIC_NAMES.get(evaluation.metric, evaluation.metric)
    chart = safe(intervals_chart(bars, metric[:1].upper() + metric[1:]))
    return {"chart": chart, "head": head, "rows": rows, "remarks": remarks(found)}


def learning_view(parts: Parts, safe: Callable[[str], Any]) -> dict[str, Any] | None:
    """The learning curves, and training, validation and test loss side by side."""
    steps = [line for line in parts.metrics if "loss" in line and "step" in line]
    if not steps:
        return None
    valid = [(line["step"], line["valid_loss"]) for line in steps if "valid_loss" in line]
    best = (parts.record.get("best") or {}).get("step")
    losses = parts.losses
    chart = learning_chart([(line["step"], line["loss"]) for line in steps], valid, losses.test, best)
    facts = [("steps", f"{len(steps):,}")]
    for name, value in (("training", losses.train), ("validation", losses.valid), ("test", losses.test)):
        facts.append((f"{name} loss", "not measured" if value is None else f"{value:.4f}"))
    seconds = sum(line.get("seconds", 0.0) for line in steps)
    facts.append(("time of all steps", f"{seconds:,.0f} s"))
    words = "Losses are means per supervised token, in nats."
    if best is not None:
        words += f" The checkpoint after step {best:,} had the best validation loss and was kept."
    return {"chart": safe(chart), "facts": facts, "words": words}


def results_view(parts: Parts, safe: Callable[[str], Any]) -> dict[str, Any] | None:
    """Every figure of the evaluation, and the calibration's chart where it was measured."""
    evaluation = parts.evaluation
    if evaluation is None:
        return None
    found = evaluation.block(Calibration)
    chart = None if found is None or not found.bins else safe(calibration_chart(found.bins, found.ece))
    return {"facts": list(evaluation.figures()), "calibration": chart}


def classes_view(parts: Parts) -> dict[str, Any] | None:
    """Precision, recall and F1 of each class, or of each field of JSON answers."""
    evaluation = parts.evaluation
    if evaluation is None:
        return None
    limits = parts.verdict.thresholds if parts.verdict is not None else Thresholds()
    classes, fields = evaluation.classification, evaluation.block(FieldFigures)
    known: Mapping[str, ClassFigures | Ratios]
    if classes is not None:
        what, known, recall = "class", classes.per_class, limits.class_recall
    elif fields is not None:
        what, known, recall = "field", fields.per_field, 0.0
    else:
        return None
    rows = [
        {
            "name": name or "(empty)",
            "support": f"{one.support:,}",
            "precision": f"{one.precision:.3f}",
            "recall": f"{one.recall:.3f}",
            "f1": f"{one.f1:.3f}",
            "width": f"{100 * one.f1:.1f}",
            "low": one.support >= limits.class_support and (one.recall < recall or one.f1 < limits.class_f1),
        }
        for name, one in known.items()
    ]
    return {"what": what, "rows": rows}


def confusion_view(parts: Parts) -> dict[str, Any] | None:
    """The confusion as cells with their share of the row. The column of other answers is left out where it is empty."""
    found = parts.evaluation.classification if parts.evaluation is not None else None
    if found is None:
        return None
    others = any(counts[-1] for counts in found.confusion)
    names = [*found.labels, *([OTHER] if others else [])]
    numbered = len(names) >= _NUMBERED_FROM or any(len(name) > _LONGEST_NAME for name in names)
    columns = [{"title": name, "short": _column(index, name, numbered)} for index, name in enumerate(names)]
    rows = []
    for index, (label, counts) in enumerate(zip(found.labels, found.confusion, strict=True)):
        total = sum(counts) or 1
        row = [
            {
                "count": count,
                "share": f"{count / total:.3f}",
                "dark": count / total > _DARK,
                "right": column == index,
                "title": f"right: {label}; given: {names[column]}; {count:,} of {total:,}",
            }
            for column, count in enumerate(counts[: len(names)])
        ]
        rows.append({"name": label, "cells": row})
    return {"columns": columns, "rows": rows, "numbered": numbered}


def _bar_name(name: str) -> str:
    """A name that has room above its bar on a phone."""
    for kind in KINDS:
        name = name.replace(f", constrained to {kind}", f", {kind} only")
    return name


def _column(index: int, name: str, numbered: bool) -> str:
    if not numbered:
        return name
    return "other" if name == OTHER else str(index + 1)


def _value(interval: Any) -> float:
    return 0.0 if interval is None else float(interval.value)
