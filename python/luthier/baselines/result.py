"""What the baselines reached, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from luthier.evaluation import Comparison, Evaluation, Prediction

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Kind = Literal["constant", "classifier", "neighbour", "prompt", "few_shot", "predictions", "tuned"]
"""tuned: the tuned model with free answers, beside its constrained ones that are compared; no baseline."""

REQUESTS = 1_000_000


@dataclass(frozen=True)
class BaselineResult:
    """One baseline on the test rows.

    `milliseconds_per_request` is the time of all answers over their number, many at once; tokens are means and those of
    the model. They are None where nothing is known of them, and tokens are 0 where no model is asked. `notes` say what
    one should know, a sentence each.
    """

    name: str
    kind: Kind
    evaluation: Evaluation
    milliseconds_per_request: float | None = None
    prompt_tokens_per_request: float | None = None
    new_tokens_per_request: float | None = None
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain values, without the predictions."""
        names = ("name", "kind", *_COSTS, "notes")
        return {name: getattr(self, name) for name in names} | {"evaluation": self.evaluation.to_json()}

    @staticmethod
    def from_json(values: Mapping[str, Any], predictions: Sequence[Prediction] = ()) -> BaselineResult:
        """From what `to_json` gave, and perhaps the predictions."""
        costs = {name: values[name] for name in _COSTS}
        evaluation = Evaluation.from_json(values["evaluation"], predictions)
        return BaselineResult(values["name"], values["kind"], evaluation, **costs, notes=list(values["notes"]))


_COSTS = ("milliseconds_per_request", "prompt_tokens_per_request", "new_tokens_per_request")


@dataclass(frozen=True)
class Skipped:
    """A baseline that could not be run, and why."""

    name: str
    reason: str


@dataclass(frozen=True, repr=False)
class Baselines:
    """All baselines on `n` rows of `test`, which learned from `train`.

    `tuned` is what they were compared with, if anything: one of `comparisons` for each of `results`, in their order,
    the tuned model first in each. `encoder` is what similar rows were found with, None for TF-IDF; `train_sha256` is
    that of the file they learned from.
    """

    n: int
    test: str
    train: str
    results: list[BaselineResult]
    skipped: list[Skipped] = field(default_factory=list)
    tuned: Evaluation | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    train_sha256: str | None = None
    encoder: str | None = None

    @property
    def prompt_tokens_saved_per_million_requests(self) -> int | None:
        """Tokens of prompt that a tuned model does without, beside the prompt with examples: the examples. None where
        one of the two was not run."""
        few_shot, plain = (self._of_kind(kind) for kind in ("few_shot", "prompt"))
        if few_shot is None or few_shot.prompt_tokens_per_request is None:
            return None
        if self.tuned is not None and self.tuned.prompt_tokens:
            without = self.tuned.prompt_tokens / self.tuned.n
        elif plain is not None and plain.prompt_tokens_per_request is not None:
            without = plain.prompt_tokens_per_request
        else:
            return None
        return round((few_shot.prompt_tokens_per_request - without) * REQUESTS)

    def comparison(self, name: str) -> Comparison | None:
        """The comparison of the tuned model with the baseline of this name."""
        return next((found for found in self.comparisons if found.second == name), None)

    @property
    def rivals(self) -> list[tuple[BaselineResult, Comparison]]:
        """The baselines, each with the comparison of the tuned model; without the tuned model's own free answers. Empty
        where nothing was compared."""
        pairs = zip(self.results, self.comparisons, strict=True) if self.comparisons else ()
        return [(result, compared) for result, compared in pairs if result.kind != "tuned"]

    @property
    def free(self) -> tuple[BaselineResult, Comparison] | None:
        """The tuned model with free answers, where it was compared with its constrained ones."""
        pairs = zip(self.results, self.comparisons) if self.comparisons else ()
        return next((pair for pair in pairs if pair[0].kind == "tuned"), None)

    def belongs_to(self, evaluation: Evaluation) -> bool:
        """Whether `evaluation` is the one that the baselines were compared with, and not an earlier or later one."""
        return self.tuned is not None and self.tuned.to_json() == evaluation.to_json()

    def to_json(self) -> dict[str, Any]:
        """The content of baselines.json."""
        return {
            "n": self.n,
            "test": self.test,
            "train": self.train,
            "train_sha256": self.train_sha256,
            "encoder": self.encoder,
            "tuned": None if self.tuned is None else self.tuned.to_json(),
            "baselines": [result.to_json() for result in self.results],
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "prompt_tokens_saved_per_million_requests": self.prompt_tokens_saved_per_million_requests,
        }

    @staticmethod
    def from_json(
        values: Mapping[str, Any], predictions: Mapping[str, Sequence[Prediction]] | None = None
    ) -> Baselines:
        """From the content of baselines.json, and perhaps the predictions by the name of the baseline. Raises KeyError
        or TypeError for what is no such content."""
        known = predictions or {}
        return Baselines(
            n=values["n"],
            test=values["test"],
            train=values["train"],
            results=[BaselineResult.from_json(item, known.get(item["name"], ())) for item in values["baselines"]],
            skipped=[Skipped(**item) for item in values["skipped"]],
            tuned=None if values["tuned"] is None else Evaluation.from_json(values["tuned"]),
            comparisons=[Comparison.from_json(item) for item in values["comparisons"]],
            train_sha256=values.get("train_sha256"),
            encoder=values.get("encoder"),
        )

    def _of_kind(self, kind: str) -> BaselineResult | None:
        return next((result for result in self.results if result.kind == kind), None)

    def __repr__(self) -> str:
        figures = ((result.name, result.evaluation.primary) for result in self.results)
        shown = ", ".join(f"{name} {found.value:.1%}" for name, found in figures if found is not None)
        return f"Baselines({self.n:,} rows of {self.test}: {shown})"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from luthier.baselines.show import tables

        yield from tables(self)

    def _repr_html_(self) -> str:
        from luthier.baselines.show import as_html

        return as_html(self)
