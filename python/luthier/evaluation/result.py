"""What an evaluation found, as plain values, and how it prints."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_SHOWN_CLASSES = 40


@dataclass(frozen=True)
class Prediction:
    """One row's answer beside its reference; `correct` compares them after stripping white space at both ends."""

    file: str
    line: int
    expected: str
    output: str
    correct: bool


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


@dataclass(frozen=True)
class JsonFigures:
    """Figures for a task whose references are JSON, as shares of the rows: the output is valid JSON; it keeps the
    schema; it equals the reference as a value, whatever the order of keys and the white space."""

    valid_json: float
    schema_kept: float
    json_equal: float


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The result of `luthier.evaluate`. `seconds` is the time of decoding; `new_tokens` what was decoded in it."""

    n: int
    exact_match: float
    seconds: float
    new_tokens: int
    model: str
    test: str
    max_new_tokens: int
    classification: Classification | None = None
    json_figures: JsonFigures | None = None
    predictions: list[Prediction] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The content of evaluation.json: every figure at the top level, without the predictions."""
        values: dict[str, Any] = {"n": self.n, "exact_match": self.exact_match}
        for part in (self.classification, self.json_figures):
            if part is not None:
                values.update(asdict(part))
        if self.classification is not None:
            values["confusion"] = {
                "labels": [*self.classification.labels, OTHER],
                "counts": self.classification.confusion,
            }
            del values["labels"]
        for name in ("seconds", "new_tokens", "model", "test", "max_new_tokens"):
            values[name] = getattr(self, name)
        return values

    def figures(self) -> Iterator[tuple[str, str]]:
        """The figures in words, in the order of the table."""
        yield "rows", f"{self.n:,}"
        yield "exact match", f"{self.exact_match:.1%}"
        if self.json_figures is not None:
            yield "valid JSON", f"{self.json_figures.valid_json:.1%}"
            yield "schema kept", f"{self.json_figures.schema_kept:.1%}"
            yield "equal as JSON", f"{self.json_figures.json_equal:.1%}"
        if self.classification is not None:
            yield "accuracy", f"{self.classification.accuracy:.1%}"
            yield "macro precision", f"{self.classification.macro_precision:.3f}"
            yield "macro recall", f"{self.classification.macro_recall:.3f}"
            yield "macro F1", f"{self.classification.macro_f1:.3f}"
        yield "seconds", f"{self.seconds:.1f}"

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in self.figures())
        return f"Evaluation({self.model} on {self.test}: {figures})"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        yield Text(f"{self.model} on {self.test}")  # no title of the table, which would be broken to its width
        table = Table("figure")
        table.add_column("value", justify="right")
        for name, value in self.figures():
            table.add_row(name, value)
        yield table
        if self.classification is None:
            return
        classes = Table("answer")
        for column in ("precision", "recall", "F1", "rows"):
            classes.add_column(column, justify="right")
        for name, found in list(self.classification.per_class.items())[:_SHOWN_CLASSES]:
            classes.add_row(
                Text(name), f"{found.precision:.3f}", f"{found.recall:.3f}", f"{found.f1:.3f}", str(found.support)
            )
        yield classes

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{value}</td></tr>" for name, value in self.figures()
        )
        title = html.escape(f"{self.model} on {self.test}")
        text = f"<table><caption>{title}</caption>{rows}</table>"
        if self.classification is not None:
            cells = "".join(
                f"<tr><td>{html.escape(name)}</td><td>{c.precision:.3f}</td><td>{c.recall:.3f}</td><td>{c.f1:.3f}</td>"
                f"<td>{c.support}</td></tr>"
                for name, c in self.classification.per_class.items()
            )
            head = "".join(f"<th>{name}</th>" for name in ("answer", "precision", "recall", "F1", "rows"))
            text += f"<table><tr>{head}</tr>{cells}</table>"
        return text

    def predictions_jsonl(self) -> str:
        """The content of predictions.jsonl."""
        return "".join(json.dumps(asdict(prediction), ensure_ascii=False) + "\n" for prediction in self.predictions)


OTHER = "(other)"
"""The column of the confusion for predictions that are no reference answer."""
