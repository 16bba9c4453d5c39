"""From rows and the answers to them to an Evaluation. Nothing here needs a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.errors import InputError
from luthier.evaluation.answers import reference
from luthier.evaluation.blocks import Block
from luthier.evaluation.calls import call_figures
from luthier.evaluation.classes import classification
from luthier.evaluation.fields import field_figures
from luthier.evaluation.intervals import bootstrap, wilson
from luthier.evaluation.json_answers import are_json, json_figures
from luthier.evaluation.metrics import PRIMARY, compared_metrics, row_scores
from luthier.evaluation.result import BLOCKS, Evaluation, Prediction
from luthier.evaluation.rules import Rule, rule_figures
from luthier.evaluation.tasks import Task, checked_task
from luthier.evaluation.writing import text_figures
from luthier.records import Record


def judge(
    rows: Sequence[Record],
    outputs: Sequence[str],
    schema: Mapping[str, Any] | None = None,
    *,
    task: str | None = None,
    rules: Sequence[Rule] = (),
    blocks: Sequence[Block] = (),
    **facts: Any,
) -> Evaluation:
    """The Evaluation of outputs that are there already, one for each row.

    `task` is one of `tasks.TASKS`, by default what the references show. `blocks` are figures that only a model gives;
    `facts` are the fields of Evaluation that say how the outputs came about. Raises InputError for no rows, a row
    without a reference, and for a wrong task or schema.
    """
    if not rows:
        raise InputError("[evaluate] there are no rows to evaluate on")
    references = [reference(record) for record in rows]
    expected = [answer.strip() for answer in references]
    predicted = [output.strip() for output in outputs]
    known = checked_task(task, expected)
    scores = row_scores(known, expected, predicted)
    predictions = [
        Prediction(record.file, record.line, wanted, output, wanted.strip() == output.strip(), score)
        for record, wanted, output, score in zip(rows, references, outputs, scores, strict=True)
    ]
    right = sum(prediction.correct for prediction in predictions)
    exact = wilson(right, len(rows))
    if known in ("classify", "call"):
        primary = wilson(round(sum(scores)), len(rows))
    else:
        primary = bootstrap(compared_metrics(known, predictions)[0])
    own = [*_blocks(known, expected, predicted, schema), *([rule_figures(rules, predicted)] if rules else ()), *blocks]
    return Evaluation(
        n=len(rows),
        exact_match=right / len(rows),
        task=known,
        metric=PRIMARY[known],
        primary=primary,
        exact_match_interval=exact,
        blocks=tuple(sorted(own, key=_place)),
        predictions=predictions,
        **facts,
    )


def _place(block: Block) -> int:
    return [kind.__name__ for kind in BLOCKS].index(type(block).__name__)


def _blocks(
    task: Task, expected: Sequence[str], predicted: Sequence[str], schema: Mapping[str, Any] | None
) -> list[Block]:
    found: list[Block] = []
    if task == "classify":
        found.append(classification(expected, predicted))
    if task == "extract" or (task == "call" and (schema is not None or are_json(expected))):
        found.append(json_figures(expected, predicted, schema))
    if task == "extract":
        found.append(field_figures(expected, predicted))
    if task == "call":
        found.append(call_figures(expected, predicted))
    if task == "write":
        found.append(text_figures(expected, predicted))
    return found
