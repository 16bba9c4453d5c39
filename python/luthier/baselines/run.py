"""`luthier.baseline`: runs every baseline on the test rows and compares the tuned model with each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.baselines.bench import CLASSIFIER, MOST_FREQUENT, NEIGHBOUR, PROMPT, TUNED, Bench
from luthier.baselines.encoder import load_encoder
from luthier.baselines.files import write_baselines
from luthier.baselines.predictions import read_predictions
from luthier.baselines.result import Baselines
from luthier.baselines.texts import answer_text
from luthier.errors import InputError
from luthier.evaluation import Evaluation, compare
from luthier.evaluation.answers import Progress, reference
from luthier.evaluation.constrain import constraint_of
from luthier.evaluation.files import check_folder
from luthier.evaluation.rules import Rule, parse_rule
from luthier.evaluation.tasks import Task, checked_task, detect_task
from luthier.generation.constraint import Constraint
from luthier.records import Record, Records, read

if TYPE_CHECKING:
    from luthier.baselines.encoder import SentenceEncoder
    from luthier.models.model import Model

EXAMPLES = 4
"""Training rows in a few-shot prompt by default."""

Rows = str | os.PathLike[str] | Records


def baseline(
    train: Rows,
    *,
    test: Rows,
    model: Model | str | os.PathLike[str] | None = None,
    k: int = EXAMPLES,
    predictions: Mapping[str, str | os.PathLike[str]] | None = None,
    tuned: Evaluation | None = None,
    out: str | os.PathLike[str] | None = None,
    task: str | None = None,
    schema: Mapping[str, Any] | None = None,
    rules: Sequence[str | Rule] = (),
    max_new_tokens: int | None = None,
    max_length: int | None = None,
    encoder: SentenceEncoder | str | os.PathLike[str] | None = None,
    text: str | None = None,
    label: str | None = None,
    system: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
    format: str | None = None,
    limit: int | None = None,
    dtype: str = "bfloat16",
    on_start: Callable[[str], None] | None = None,
    on_progress: Progress | None = None,
    constrain: str | Constraint | None = None,
) -> Baselines:
    """Answers the rows of `test` in the cheapest ways there are, and judges all alike.

    The most frequent answer of `train`; for a classification TF-IDF with logistic regression; the answer of the most
    similar training row; the untuned `model` with the prompt alone and with the `k` most similar training rows as
    examples (fewer where prompt and answer would pass `max_length` tokens, by default what the model holds); and every
    file of `predictions`, by name. Without `model`, those that need none. `tuned`, an evaluation on the same rows, is
    compared with each. Similar rows share rare words (TF-IDF) or, with `encoder`, a sentence encoder (`load_encoder`),
    have near vectors. `out` is a folder for baselines.json and baseline_predictions.jsonl. The other arguments are
    those of `luthier.evaluation.evaluate`; `on_start` hears the name of what is run next.

    `constrain`, "labels" or "schema", lets the untuned model answer twice, freely and constrained to the answers of
    `train`, or to `schema` or what they have in common; by default it is that of `tuned`. Raises InputError for what
    cannot be read or does not fit together; a baseline that cannot learn from these rows is listed as skipped.
    """
    if k < 1:
        raise InputError(f"[baseline] k is {k}; it must be 1 at least")
    if out is not None:
        check_folder(Path(out))
    reading: dict[str, Any] = {"text": text, "label": label, "system": system, "skip_bad": skip_bad}
    reading["format"] = format
    learned = train if isinstance(train, Records) else read(train, **reading)
    held_out = test if isinstance(test, Records) else read(test, **reading)
    vectors = load_encoder(encoder) if isinstance(encoder, str | os.PathLike) else encoder
    untuned = None if model is None else _loaded(model, dtype)
    rows, examples = list(held_out)[:limit], list(learned)
    if untuned is not None:  # tool calls are compared as the model's template writes them
        rows, examples = (untuned.encoder.with_written_answers(some) for some in (rows, examples))
    if not rows:
        raise InputError(f"[baseline] {held_out.path} holds no rows to evaluate on")
    if not examples:
        raise InputError(f"[baseline] {learned.path} holds no rows to learn from")
    outside = {name: read_predictions(path, held_out)[: len(rows)] for name, path in (predictions or {}).items()}
    known = _task(task or (tuned.task if tuned else None), rows, examples)
    parsed = [rule if isinstance(rule, Rule) else parse_rule(rule) for rule in rules]
    names = [*(predictions or {})]
    if taken := {MOST_FREQUENT, CLASSIFIER, NEIGHBOUR, PROMPT, TUNED}.intersection(names):
        raise InputError(f"[baseline] '{taken.pop()}' is a baseline of its own; give the predictions another name")
    if isinstance(constrain, str):
        constrain = constraint_of(constrain, [reference(row) for row in examples], schema, str(learned.path))
    if tuned is not None:
        _check_same_rows(tuned, rows)
        constrain = _same_constraint(tuned, constrain)
        max_new_tokens = max_new_tokens or tuned.max_new_tokens
    bench = Bench(rows, examples, str(held_out.path), known, schema, parsed, on_start, on_progress, vectors, constrain)

    if tuned is not None and tuned.free is not None:
        bench.add_free(tuned.free)
    bench.run_simple()
    if untuned is not None:
        bench.run_prompt(untuned, max_new_tokens)
        bench.run_few_shot(untuned, k, max_new_tokens, max_length)
    for name, outputs in outside.items():
        bench.add(name, outputs)
    found = Baselines(
        n=len(rows),
        test=str(held_out.path),
        train=str(learned.path),
        train_sha256=learned.sha256 or None,
        encoder=None if vectors is None else vectors.name,
        results=bench.results,
        skipped=bench.skipped,
        tuned=tuned,
        comparisons=[]
        if tuned is None
        else [compare(tuned, one.evaluation, tuned.called(TUNED), one.name) for one in bench.results],
    )
    if out is not None:
        write_baselines(found, Path(out))
    return found


def _task(given: str | None, rows: Sequence[Record], train: Sequence[Record]) -> Task:
    """The task that is named, or what the test rows show; a few of them may not show the classes of the training
    rows."""
    known = checked_task(given, [reference(row).strip() for row in rows])
    if given is None and known == "write" and detect_task([answer_text(row) for row in train]) == "classify":
        return "classify"
    return known


def _same_constraint(tuned: Evaluation, constraint: Constraint | None) -> Constraint | None:
    """The constraint of the tuned model's answers. Raises InputError where another one was asked for: the same model
    would be compared under other rules."""
    if constraint is None or constraint == tuned.constraint:
        return tuned.constraint
    raise InputError(
        f"[baseline] the evaluation to compare with is of answers that are {_words(tuned.constraint)}, and the "
        f"baselines' are to be {_words(constraint)}; evaluate with the same constraint, or leave it out here"
    )


def _words(constraint: Constraint | None) -> str:
    return "free" if constraint is None else f"constrained to {constraint.summary}"


def _loaded(model: Model | str | os.PathLike[str], dtype: str) -> Model:
    from luthier.models import Model, load

    return model if isinstance(model, Model) else load(model, dtype=dtype)


def _check_same_rows(tuned: Evaluation, rows: Sequence[Record]) -> None:
    """Raises InputError unless `tuned` is of these rows."""
    before = [(item.file, item.line, item.expected) for item in tuned.predictions]
    if before != [(row.file, row.line, row.reference) for row in rows]:
        raise InputError(
            f"[baseline] the evaluation to compare with is of {tuned.n:,} rows of {tuned.test}, which are not the "
            f"{len(rows):,} test rows; evaluate on the same file with the same limit"
        )
