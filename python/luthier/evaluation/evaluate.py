"""`luthier evaluate`: answers the rows of a test file and compares with their references."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError, LuthierError
from luthier.evaluation.classes import classification, is_classification
from luthier.evaluation.json_answers import are_json, json_figures
from luthier.evaluation.result import Evaluation, Prediction
from luthier.records import Record, Records, read

if TYPE_CHECKING:
    from luthier.models.model import Model
    from luthier.training.run import Run

_MARGIN = 1.25
_EXTRA = 8


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
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Answers every row of `test` greedily, with the row's last assistant message left out, and compares with that
    message.

    `out` is a folder for predictions.jsonl and evaluation.json (made if missing). `max_new_tokens` defaults to the
    longest reference in tokens, a quarter more, and 8. `schema` is a JSON Schema for tasks with JSON answers; without
    it the references show what the schema is. `text`, `label`, `system` and `format` are as in `luthier.read`; `limit`
    takes the first rows only; `on_progress` hears (rows finished, rows). Raises InputError for what cannot be read, and
    LuthierError for what cannot be written.
    """
    from luthier.models.model import Model

    if not isinstance(model, Model):
        model = model.model()
    if not isinstance(test, Records):
        test = read(test, text=text, label=label, system=system, skip_bad=skip_bad, format=format)
    records = test
    rows = model.encoder.with_written_answers(records[:limit])
    expected = [_reference(record) for record in rows]
    if not rows:
        raise InputError(f"[evaluate] {records.path} holds no rows to evaluate on")
    if max_new_tokens is None:
        longest = max(len(model.tokenizer.encode_text(answer)) for answer in expected)
        max_new_tokens = int(longest * _MARGIN) + _EXTRA
    total = len(rows)
    start = time.perf_counter()
    tokens = model.answer_tokens(
        rows, max_new_tokens, on_done=None if on_progress is None else lambda done: on_progress(done, total)
    )
    seconds = time.perf_counter() - start
    outputs = [model.tokenizer.decode(answer) for answer in tokens]
    evaluation = judge(
        rows,
        outputs,
        schema=schema,
        seconds=seconds,
        new_tokens=sum(len(answer) for answer in tokens),
        model=_name(model),
        test=str(records.path),
        max_new_tokens=max_new_tokens,
    )
    if out is not None:
        write_evaluation(evaluation, Path(out))
    return evaluation


def judge(
    rows: Sequence[Record], outputs: Sequence[str], schema: Mapping[str, Any] | None = None, **facts: Any
) -> Evaluation:
    """The Evaluation of outputs that are there already, one for each row. `facts` are the fields of Evaluation that say
    how the outputs came about."""
    expected = [_reference(record).strip() for record in rows]
    predicted = [output.strip() for output in outputs]
    predictions = [
        Prediction(record.file, record.line, _reference(record), output, wanted == given)
        for record, output, wanted, given in zip(rows, outputs, expected, predicted, strict=True)
    ]
    in_json = are_json(expected)
    return Evaluation(
        n=len(rows),
        exact_match=sum(prediction.correct for prediction in predictions) / len(rows),
        classification=classification(expected, predicted) if not in_json and is_classification(expected) else None,
        json_figures=json_figures(expected, predicted, schema) if in_json else None,
        predictions=predictions,
        **facts,
    )


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Writes predictions.jsonl, then evaluation.json. Raises LuthierError when the folder cannot be written."""
    from luthier.durable import write_text

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "predictions.jsonl", evaluation.predictions_jsonl())
        text = json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(folder / "evaluation.json", text + "\n")
    except OSError as error:
        raise LuthierError(f"[evaluate] cannot write to {folder}: {error.strerror or error}") from error


def _reference(record: Record) -> str:
    if record.reference is None:
        raise InputError(f"{record.where}: the row does not end with an assistant message to compare with")
    return record.reference


def _name(model: Model) -> str:
    return model.source.name if model.adapter is None else f"{model.source.name} with {model.adapter.summary}"
