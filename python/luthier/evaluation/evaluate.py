"""`luthier evaluate`: answers the rows of a test file and compares with their references."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.evaluation.answers import Progress, answer_rows, reference
from luthier.evaluation.blocks import Block
from luthier.evaluation.constrain import constraint_of
from luthier.evaluation.files import check_folder, write_evaluation
from luthier.evaluation.judge import judge
from luthier.evaluation.label_probabilities import label_calibration
from luthier.evaluation.perplexity import answer_perplexity
from luthier.evaluation.result import Evaluation
from luthier.evaluation.rules import Rule, parse_rule
from luthier.evaluation.tasks import checked_task
from luthier.generation.constraint import Constraint, constrained_name
from luthier.records import Records, read

if TYPE_CHECKING:
    from luthier.models.model import Model
    from luthier.training.run import Run

CALIBRATION_ROWS = 100
"""Rows that the calibration is measured on by default: each takes a pass or more of its own over the whole prompt."""


def evaluate(
    model: Model | Run,
    test: str | os.PathLike[str] | Records,
    out: str | os.PathLike[str] | None = None,
    max_new_tokens: int | None = None,
    schema: Mapping[str, Any] | None = None,
    text: str | None = None,
    label: str | None = None,
    system: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
    format: str | None = None,
    limit: int | None = None,
    on_progress: Progress | None = None,
    task: str | None = None,
    rules: Sequence[str | Rule] = (),
    calibration_rows: int = CALIBRATION_ROWS,
    on_start: Callable[[str], None] | None = None,
    constrain: str | Constraint | None = None,
) -> Evaluation:
    """Answers every row of `test` greedily, with the row's last assistant message left out, and compares with that
    message.

    `out` is a folder for predictions.jsonl and evaluation.json (made if missing). `max_new_tokens` defaults to the
    longest reference in tokens, a quarter more, and 8. `schema` is a JSON Schema for tasks with JSON answers; without
    it the references show what the schema is. `task` is classify, extract, write or call, by default what the
    references show; `rules` are as in `rules.parse_rule`. At most `calibration_rows` rows give the calibration of a
    classification, 0 leaves it out. `text`, `label`, `system` and `format` are as in `luthier.read`; `limit` takes the
    first rows only; `on_progress` hears (rows finished, rows) of the answers; where `on_start` hears the name of each
    stage, of every stage.

    `constrain`, "labels" or "schema", constrains the answers to those of the run's training rows, or to `schema` or
    what theirs have in common; for a Model, whose training rows are not known, of the test rows. `Labels` and `Schema`
    of `luthier.generation` say it outright. The figures are then those of the constrained answers, and `free` holds
    those of free ones. Raises InputError for what cannot be read, and LuthierError for what cannot be written.
    """
    from luthier.models.model import Model

    parsed = [rule if isinstance(rule, Rule) else parse_rule(rule) for rule in rules]
    if out is not None:
        check_folder(Path(out))
    if not isinstance(model, Model):
        if isinstance(constrain, str):
            constrain = model.constraint(constrain, schema)
        model = model.model()
    if not isinstance(test, Records):
        test = read(test, text=text, label=label, system=system, skip_bad=skip_bad, format=format)
    records = test
    rows = model.encoder.with_written_answers(records[:limit])
    if not rows:
        raise InputError(f"[evaluate] {records.path} holds no rows to evaluate on")
    known = checked_task(task, [reference(record).strip() for record in rows])
    if isinstance(constrain, str):
        constrain = constraint_of(constrain, [reference(record) for record in rows], schema, str(records.path))
    start, later = (_ignore, None) if on_start is None else (on_start, on_progress)
    judging: dict[str, Any] = {"schema": schema, "task": known, "rules": parsed, "test": str(records.path)}
    start(constrained_name("answers", constrain))
    answers = answer_rows(model, rows, max_new_tokens, on_progress, constrain)
    free = None
    if constrain is not None:
        start("free answers")
        others = answer_rows(model, rows, answers.max_new_tokens, later)
        free = judge(rows, others.outputs, **judging, **others.facts())
    blocks: list[Block] = []
    if known == "classify" and calibration_rows > 0:
        start("calibration")
        found = label_calibration(model, rows, calibration_rows, later)
        blocks += [] if found is None else [found]
    start("perplexity of the right answers")
    perplexity = answer_perplexity(model, list(records[:limit]), later)
    if perplexity is not None:
        blocks.append(perplexity)
    evaluation = judge(
        rows, answers.outputs, blocks=blocks, constraint=constrain, free=free, **judging, **answers.facts()
    )
    if out is not None:
        write_evaluation(evaluation, Path(out))
    return evaluation


def _ignore(stage: str) -> None:
    pass
