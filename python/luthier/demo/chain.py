"""The stages of a demo, each through the function that its command calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.demo.commands import BASELINES, ROWS, RUN, SCHEMA_FILE
from luthier.demo.progress import LiveProgress
from luthier.demo.recipe import Recipe

if TYPE_CHECKING:
    from luthier.baselines import Baselines
    from luthier.checks.report import CheckReport
    from luthier.evaluation import Evaluation
    from luthier.report import Report
    from luthier.splits import Split
    from luthier.training.run import Run
    from luthier.verdict import Verdict


@dataclass(frozen=True)
class Chain:
    """The rows of a demo lie in `place`, where everything else goes too; what is there already is replaced."""

    place: Path
    model: str
    recipe: Recipe
    schema: Mapping[str, Any] | None
    progress: LiveProgress

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Writes the rows, and the schema of their answers where there is one."""
        from luthier.durable import write_json, write_text

        self.place.mkdir(parents=True, exist_ok=True)
        write_text(self.place / ROWS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        if self.schema is not None:
            write_json(self.place / SCHEMA_FILE, dict(self.schema))

    def check(self) -> CheckReport:
        """What is wrong with the rows."""
        from luthier.checks import check

        schema = None if self.schema is None else self.place / SCHEMA_FILE
        return check(self.place / ROWS, schema=schema, model=self.model)

    def split(self) -> Split:
        """Train, valid and a sealed test file."""
        from luthier.splits import split

        test, valid, group = self.recipe.test, self.recipe.valid, self.recipe.group
        return split(self.place / ROWS, self.place, test=test, valid=valid, group=group, overwrite=True)

    def baseline(self) -> Baselines:
        """The cheapest things that could do the job, on the test rows."""
        from luthier.baselines import baseline
        from luthier.splits import open_sealed

        open_sealed(self.place / "test.jsonl", by="baseline")
        return baseline(
            self.place / "train.jsonl",
            test=self.place / "test.jsonl",
            model=self.model,
            schema=self.schema,
            out=self.place / BASELINES,
            **self.progress.calls(),
        )

    def fit(self) -> Run:
        """The tuned model."""
        from luthier.training.loop import fit_to_folder
        from luthier.training.run import Run
        from luthier.training.settings import compose

        files = {name: str(self.place / f"{name}.jsonl") for name in ("train", "valid")}
        own = {"model": self.model, "out": str(self.place / RUN), "overwrite": True}
        settings = compose(own | files | dict(self.recipe.fit))
        return Run(fit_to_folder(settings, self.progress))

    def evaluate(self, run: Run) -> tuple[Evaluation, Baselines]:
        """The tuned model's answers to the test rows, and the baselines beside them."""
        test = self.place / "test.jsonl"
        tuned = run.evaluate(test, schema=self.schema, **self.progress.calls())
        return tuned, run.baselines(tuned, test, earlier=self.place / BASELINES)

    def verdict(self, run: Run) -> Verdict:
        """Whether the tuned model should be used."""
        from luthier.verdict import give_verdict

        return give_verdict(run, self.place / "test.jsonl", **self.progress.calls())

    def report(self, run: Run) -> Report:
        """All of it in one file."""
        from luthier.report import write_report

        return write_report(run)
