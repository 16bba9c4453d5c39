"""`luthier evaluate`: answers the rows of a test file and compares with their references."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.evaluation.blocks import Block
from luthier.evaluation.calibration import Calibration, calibration
from luthier.evaluation.files import check_folder, write_evaluation
from luthier.evaluation.judge import judge, reference
from luthier.evaluation.label_probabilities import label_probabilities
from luthier.evaluation.perplexity import answer_perplexity
from luthier.evaluation.result import Evaluation
from luthier.evaluation.rules import Rule, parse_rule
from luthier.evaluation.tasks import checked_task
from luthier.records import Record, Records, read

if TYPE_CHECKING:
    from luthier.models.model import Model
    from luthier.training.run import Run

CALIBRATION_ROWS = 100
"""Rows that the calibration is measured on by default: each takes a pass of its own over the whole prompt."""

_MARGIN = 1.25
_EXTRA = 8

Progress = Callable[[int, int], None]


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
) -> Evaluation:
    """Answers every row of `test` greedily, with the row's last assistant message left out, and compares with that
    message.

    `out` is a folder for predictions.jsonl and evaluation.json (made if missing). `max_new_tokens` defaults to the
    longest reference in tokens, a quarter more, and 8. `schema` is a JSON Schema for tasks with JSON answers; without
    it the references show what the schema is. `task` is classify, extract, write or call, by default what the
    references show; `rules` are as in `rules.parse_rule`. `calibration_rows` rows, spread evenly, give the calibration
    of a classification, 0 leaves it out. `text`, `label`, `system` and `format` are as in `luthier.read`; `limit` takes
    the first rows only; `on_progress` hears (rows finished, rows) of the answers; where `on_start` hears the name of
    each stage, of every stage. Raises InputError for what cannot be read, and LuthierError for what cannot be written.
    """
    from luthier.models.model import Model

    parsed = [rule if isinstance(rule, Rule) else parse_rule(rule) for rule in rules]
    if out is not None:
        check_folder(Path(out))
    if not isinstance(model, Model):
        model = model.model()
    if not isinstance(test, Records):
        test = read(test, text=text, label=label, system=system, skip_bad=skip_bad, format=format)
    records = test
    rows = model.encoder.with_written_answers(records[:limit])
    if not rows:
        raise InputError(f"[evaluate] {records.path} holds no rows to evaluate on")
    expected = [reference(record).strip() for record in rows]
    known = checked_task(task, expected)
    start, later = (_ignore, None) if on_start is None else (on_start, on_progress)
    start("answers")
    answers = answer_rows(model, rows, max_new_tokens, on_progress)
    blocks: list[Block] = []
    if known == "classify" and calibration_rows > 0:
        start("calibration")
        blocks.append(label_calibration(model, rows, calibration_rows, later))
    start("perplexity of the right answers")
    perplexity = answer_perplexity(model, list(records[:limit]), later)
    if perplexity is not None:
        blocks.append(perplexity)
    evaluation = judge(
        rows,
        answers.outputs,
        schema,
        task=known,
        rules=parsed,
        blocks=blocks,
        test=str(records.path),
        **answers.facts(),
    )
    if out is not None:
        write_evaluation(evaluation, Path(out))
    return evaluation


def _ignore(stage: str) -> None:
    pass


@dataclass(frozen=True)
class Answers:
    """What a model answered to rows, and what that took."""

    outputs: list[str]
    seconds: float
    new_tokens: int
    prompt_tokens: int
    model: str
    max_new_tokens: int

    def facts(self) -> dict[str, Any]:
        """The fields of Evaluation that say how the outputs came about."""
        names = ("seconds", "new_tokens", "prompt_tokens", "model", "max_new_tokens")
        return {name: getattr(self, name) for name in names}


def answer_rows(
    model: Model, rows: Sequence[Record], max_new_tokens: int | None = None, on_progress: Progress | None = None
) -> Answers:
    """The model's greedy answers to rows whose references stand in them; see `evaluate` for the arguments."""
    if max_new_tokens is None:
        max_new_tokens = longest_answer(model, rows)
    start = time.perf_counter()
    tokens = model.answer_tokens(
        rows, max_new_tokens, on_done=None if on_progress is None else lambda done: on_progress(done, len(rows))
    )
    seconds = time.perf_counter() - start
    return Answers(
        outputs=[model.tokenizer.decode(answer) for answer in tokens],
        seconds=seconds,
        new_tokens=sum(map(len, tokens)),
        prompt_tokens=sum(map(len, model.encoder.encode_prompts(rows))),
        model=model.source.name if model.adapter is None else f"{model.source.name} with {model.adapter.summary}",
        max_new_tokens=max_new_tokens,
    )


def longest_answer(model: Model, rows: Sequence[Record]) -> int:
    """How many tokens an answer may have by default: the longest reference, a quarter more, and 8."""
    return int(max(len(model.tokenizer.encode_text(reference(record))) for record in rows) * _MARGIN) + _EXTRA


def label_calibration(
    model: Model, rows: Sequence[Record], most: int, on_progress: Progress | None = None
) -> Calibration:
    """The calibration over the labels that the references hold, on `most` rows that are spread evenly."""
    labels = sorted({reference(record).strip() for record in rows})
    count = min(most, len(rows))
    confidences, right = [], []
    for index in range(count):
        record = rows[index * len(rows) // count]
        probabilities = label_probabilities(model, record, labels)
        confidences.append(max(probabilities))
        right.append(labels[probabilities.index(max(probabilities))] == reference(record).strip())
        if on_progress is not None:
            on_progress(index + 1, count)
    return calibration(confidences, right)
