"""Fits and verdicts of the scenarios, as a user makes them.

lab = make_lab(folder)                              # trains the small model once: some 15 s
run = lab.fit("sorter", rows)                       # a Run
found = judged(run, test, lab.folder / "out")       # evaluate, baselines, verdict
found.outcome; found.codes; found.finding("leakage")
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luthier as lu
from luthier.evaluation import Evaluation
from luthier.training.run import Run
from luthier.verdict import Verdict
from scenarios.pretraining import pretraining_rows, skill_rows, tokenizer_texts
from scenarios.small_model import make_small_model
from scenarios.tasks import Rows, answer, write


@dataclass(frozen=True)
class Judged:
    """A verdict with what it was given from."""

    verdict: Verdict
    tuned: Evaluation
    results: Path

    @property
    def outcome(self) -> str:
        """SHIP, HOLD or RETHINK."""
        return self.verdict.outcome

    @property
    def codes(self) -> list[str]:
        """Of the reasons that decided, those first that decide most."""
        return [reason.code for reason in self.verdict.deciding]

    @property
    def remarks(self) -> list[str]:
        """Of what is worth knowing."""
        return [reason.code for reason in self.verdict.remarks]

    def reason(self, code: str) -> str:
        """The words of a reason."""
        return next(str(reason) for reason in self.verdict.looked_at if reason.code == code)

    def finding(self, code: str) -> dict[str, Any]:
        """What the checks of the training rows found."""
        findings = json.loads((self.results / "check.json").read_text(encoding="utf-8"))["findings"]
        return next(one for one in findings if one["code"] == code)


@dataclass(frozen=True)
class Lab:
    """A small model that knows something, and the rows that it learned it from."""

    folder: Path
    model: Path
    general: Path

    def file(self, name: str, rows: Rows) -> Path:
        """Rows in a file of the lab."""
        return write(self.folder / f"{name}.jsonl", rows)

    def settings(self, name: str, **changes: Any) -> dict[str, Any]:
        """Settings of a mild fit that keeps what the model knew, under their flat names."""
        values: dict[str, Any] = {
            "model": str(self.model),
            "out": str(self.folder / name),
            "replay": str(self.general),
            "replay_share": 0.3,
            "epochs": 3,
            "batch_size": 16,
            "learning_rate": 5e-3,
            "max_length": 256,
            "dtype": "float32",
            "threads": 1,
        }
        return {key: value for key, value in (values | changes).items() if value is not None}

    def fit(self, name: str, rows: Rows, valid: Rows | None = None, **changes: Any) -> Run:
        """A run in a folder of the lab, with its rows beside it."""
        own = None if valid is None else self.file(f"{name}-valid", valid)
        train = self.file(f"{name}-train", rows)
        return lu.fit(train, valid=own, quiet=True, **self.settings(name, **changes))


def make_lab(folder: Path, seed: int = 0) -> Lab:
    """Trains the small model from random weights, drawn with `seed`.

    Whether two layers learn a skill is a matter of luck, which rounding changes from processor to processor: a model
    that lacks one is no start for the scenarios, and other weights are tried, four times at most.
    """
    general = write(folder / "general.jsonl", pretraining_rows())
    lacking: list[dict[str, float]] = []
    for attempt in range(4):
        model = _pretrained(folder / f"pretraining-{attempt}", general, seed + 1000 * attempt)
        skills = skill_shares(model)
        if min(skills.values()) >= 0.95:
            return Lab(folder, model, general)
        lacking.append(skills)
    raise AssertionError(f"the small model has not learned its skills: {lacking}")


def skill_shares(model: Path) -> dict[str, float]:
    """The share of right answers in each skill."""
    loaded = lu.load(model, dtype="float32")
    shares = {}
    for skill, rows in skill_rows().items():
        answers = loaded.generate([one["messages"][:-1] for one in rows], max_new_tokens=8)
        shares[skill] = sum(found == answer(one) for found, one in zip(answers, rows, strict=True)) / len(rows)
    return shares


def _pretrained(folder: Path, general: Path, seed: int) -> Path:
    start = make_small_model(folder / "start", tokenizer_texts(), seed=seed)
    run = lu.fit(
        general,
        model=start,
        out=folder / "run",
        adapter="full",
        epochs=3,
        batch_size=16,
        learning_rate=5e-3,
        max_length=256,
        dtype="float32",
        seed=seed,
        threads=1,
        no_check=True,
        quiet=True,
    )
    return run.folder / "model"


def judged(
    run: Run,
    test: Path,
    results: Path,
    *,
    schema: dict[str, Any] | None = None,
    predictions: dict[str, Path] | None = None,
    task: str | None = None,
    **options: Any,
) -> Judged:
    """What `luthier evaluate RUN --test FILE --out RESULTS` does. `options` are those of the verdict."""
    given: dict[str, Any] = {"out": results, "schema": schema, "task": task}
    tuned = run.evaluate(test, calibration_rows=20, **given)
    run.baselines(tuned, test, predictions=predictions or {}, **given)
    return Judged(lu.give_verdict(run, test, results=results, **options), tuned, results)
