"""What an evaluation found, as plain values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.evaluation.blocks import AnyBlock, Block
from luthier.evaluation.calibration import Calibration
from luthier.evaluation.calls import CallFigures
from luthier.evaluation.classes import Classification
from luthier.evaluation.fields import FieldFigures
from luthier.evaluation.intervals import Interval
from luthier.evaluation.json_answers import JsonFigures
from luthier.evaluation.perplexity import Perplexity
from luthier.evaluation.rules import RuleFigures
from luthier.evaluation.seeds import SeedFigures
from luthier.evaluation.tasks import Task
from luthier.evaluation.writing import TextFigures
from luthier.generation.constraint import Constraint, constrained_name, constraint_from_json

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

BLOCKS = (
    Classification,
    JsonFigures,
    FieldFigures,
    CallFigures,
    TextFigures,
    RuleFigures,
    Calibration,
    Perplexity,
    SeedFigures,
)
"""Every kind of block, in the order of evaluation.json."""

_FACTS = ("seconds", "new_tokens", "prompt_tokens", "model", "test", "max_new_tokens")


@dataclass(frozen=True)
class Prediction:
    """One row's answer beside its reference; `correct` compares them after stripping white space at both ends, `score`
    is what the row adds to the task's figure, 0 to 1 (see `metrics.row_scores`)."""

    file: str
    line: int
    expected: str
    output: str
    correct: bool
    score: float = 0.0


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The result of `luthier.evaluate`.

    `primary` is the figure that the task is judged by, `metric` its name. `exact_match` is a share of the rows; both
    have 95 % intervals. `seconds` is the time of decoding, `new_tokens` what was decoded in it, `prompt_tokens` what
    was read for it. `blocks` hold the other figures, by family: `evaluation.block(Classification)`. Where answers were
    constrained, `constraint` says to what, and `free` is the same model with free answers.
    """

    n: int
    exact_match: float
    seconds: float
    new_tokens: int
    model: str
    test: str
    max_new_tokens: int
    task: Task = "write"
    metric: str = "exact_match"
    primary: Interval | None = None
    exact_match_interval: Interval | None = None
    prompt_tokens: int = 0
    blocks: tuple[Block, ...] = ()
    predictions: list[Prediction] = field(default_factory=list)
    constraint: Constraint | None = None
    free: Evaluation | None = None

    def block(self, kind: type[AnyBlock]) -> AnyBlock | None:
        """The block of a family, or None where the task has none."""
        return next((block for block in self.blocks if isinstance(block, kind)), None)

    @property
    def figure(self) -> float:
        """The figure in the task's own metric."""
        return self.primary.value if self.primary is not None else self.exact_match

    @property
    def classification(self) -> Classification | None:
        """The figures by class, for a task with few distinct answers."""
        return self.block(Classification)

    @property
    def json_figures(self) -> JsonFigures | None:
        """The figures for JSON, where the references are JSON."""
        return self.block(JsonFigures)

    def called(self, name: str) -> str:
        """The name of a system with what its answers were constrained to."""
        return constrained_name(name, self.constraint)

    def to_json(self) -> dict[str, Any]:
        """The content of evaluation.json: every figure, without the predictions."""
        values: dict[str, Any] = {"n": self.n, "exact_match": self.exact_match}
        for block in self.blocks:
            values.update(block.to_json())
        values["task"] = self.task
        values["metric"] = self.metric
        for name in ("primary", "exact_match_interval"):
            interval: Interval | None = getattr(self, name)
            values[name] = None if interval is None else interval.to_json()
        values |= {name: getattr(self, name) for name in _FACTS}
        if self.constraint is not None:
            values["constraint"] = self.constraint.to_json()
        if self.free is not None:
            values["free"] = self.free.to_json()
        return values

    @staticmethod
    def from_json(
        values: Mapping[str, Any], predictions: Sequence[Prediction] = (), free_predictions: Sequence[Prediction] = ()
    ) -> Evaluation:
        """From the content of evaluation.json, and perhaps those of predictions.jsonl and free_predictions.jsonl.
        Raises KeyError or TypeError for what is not the content of such a file."""
        found = (kind.from_json(values) for kind in BLOCKS)
        free = values.get("free")
        return Evaluation(
            n=values["n"],
            exact_match=values["exact_match"],
            **{name: values[name] for name in _FACTS if name != "prompt_tokens"},
            prompt_tokens=values.get("prompt_tokens", 0),
            task=values.get("task", "write"),
            metric=values.get("metric", "exact_match"),
            primary=_interval(values.get("primary")),
            exact_match_interval=_interval(values.get("exact_match_interval")),
            blocks=tuple(block for block in found if block is not None),
            predictions=list(predictions),
            constraint=constraint_from_json(values.get("constraint")),
            free=None if free is None else Evaluation.from_json(free, free_predictions),
        )

    def figures(self) -> Iterator[tuple[str, str]]:
        """The figures in words, in the order of the table."""
        yield "rows", f"{self.n:,}"
        if self.constraint is not None:
            yield "answers constrained to", self.constraint.summary
        yield "exact match", with_interval(self.exact_match_interval) or f"{self.exact_match:.1%}"
        for block in self.blocks:
            yield from block.figures()
        if self.primary is not None and self.metric not in ("accuracy", "exact_match"):
            yield f"{METRIC_NAMES[self.metric]} with its interval", with_interval(self.primary)
        if self.free is not None:
            yield "exact match, free answers", with_interval(self.free.exact_match_interval)
            if self.metric not in ("accuracy", "exact_match"):
                yield f"{METRIC_NAMES[self.metric]}, free answers", with_interval(self.free.primary)
        yield "seconds", f"{self.seconds:.1f}"

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in self.figures())
        return f"Evaluation({self.model} on {self.test}: {figures})"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from luthier.evaluation.show import tables

        yield from tables(self)

    def _repr_html_(self) -> str:
        from luthier.evaluation.show import as_html

        return as_html(self)

    def predictions_jsonl(self) -> str:
        """The content of predictions.jsonl."""
        return "".join(json.dumps(asdict(prediction), ensure_ascii=False) + "\n" for prediction in self.predictions)


def _interval(values: Mapping[str, Any] | None) -> Interval | None:
    return None if values is None else Interval(**values)


METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "exact_match": "exact match",
    "field_f1": "field F1",
    "mean_chrf": "chrF (mean of rows)",
    "call_accuracy": "calls right",
}
"""How the metrics that systems are compared by are written for people."""


def with_interval(interval: Interval | None) -> str:
    """A share with its interval, in percent; empty for None."""
    if interval is None:
        return ""
    return f"{interval.value:.1%} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
