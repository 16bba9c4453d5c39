"""`measure_general`: a model's losses and answers on general material."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.forgetting.figures import GeneralAnswer, GeneralFigures
from luthier.forgetting.losses import plain_text, text_losses
from luthier.forgetting.material import instructions, material_sha256, prose
from luthier.records import Record, Records, read

if TYPE_CHECKING:
    from luthier.models.model import Model

MAX_NEW_TOKENS = 24
"""Enough for every answer asked for; a model that rambles on has not answered."""
MOST_KEPT_ANSWERS = 300
_ROWS_PER_GROUP = 8
Keep = str | os.PathLike[str] | Records | Sequence[Record]


def measure_general(
    model: Model, keep: Keep | None = None, on_progress: Callable[[int, int], None] | None = None
) -> GeneralFigures:
    """The losses and greedy answers of a model on the instructions and the prose that ship with Luthier.

    `keep` adds rows of the user's, a file or records, each of which ends with an answer: the loss of their answers, and
    the model's own answer to the first 300 rows whose reference has at most 24 tokens, right when it equals it.
    `on_progress` hears (answers finished, answers). Takes about as long as 400 short answers. Raises InputError for a
    file that `luthier.read` refuses, and for rows without an answer.
    """
    start = time.perf_counter()
    kept = keep_records(keep)
    tasks = instructions()
    prose_losses = text_losses(model, [plain_text(model, text) for text in prose()], 1)
    references = text_losses(model, model.encoder.encode_rows(task.record for task in tasks), _ROWS_PER_GROUP)
    assert prose_losses is not None and references is not None, "the material has supervised tokens"
    keep_losses = None
    short: list[Record] = []
    if kept is not None:
        keep_losses = text_losses(model, model.encoder.encode_rows(kept), _ROWS_PER_GROUP)
        if keep_losses is None:
            raise InputError(f"{_name(keep)}: no row to keep has an answer with a weight above 0")
        short = [record for record in kept if _is_short(model, record)][:MOST_KEPT_ANSWERS]
    records = [task.record for task in tasks] + short
    done = None if on_progress is None else lambda finished: on_progress(finished, len(records))
    outputs = model.answer(records, MAX_NEW_TOKENS, on_done=done)
    answers = [GeneralAnswer(task.id, output, task.checker.is_right(output)) for task, output in zip(tasks, outputs)]
    keep_answers = [
        GeneralAnswer(record.where, output, output.strip() == str(record.reference).strip())
        for record, output in zip(short, outputs[len(tasks) :], strict=True)
    ]
    return GeneralFigures(
        model=model.source.name if model.adapter is None else f"{model.source.name} with {model.adapter.summary}",
        material=material_sha256(),
        prose=prose_losses,
        references=references,
        answers=tuple(answers),
        seconds=time.perf_counter() - start,
        keep_file=None if kept is None else _name(keep),
        keep_material=None if kept is None else records_sha256(kept),
        keep=keep_losses,
        keep_answers=tuple(keep_answers),
    )


def keep_records(keep: Keep | None) -> Sequence[Record] | None:
    """The rows to keep: read, if they are a file. Raises InputError as `luthier.read` does."""
    if keep is None:
        return None
    records: Sequence[Record] = read(keep) if isinstance(keep, str | os.PathLike) else keep
    if len(records) == 0:
        raise InputError(f"{_name(keep)}: holds no rows")
    return records


def records_sha256(records: Sequence[Record]) -> str:
    """SHA-256 over roles, contents and weights, in order."""
    digest = hashlib.sha256()
    for record in records:
        messages = [(message.role, message.content, message.weight) for message in record.messages]
        digest.update(json.dumps([messages, record.weight]).encode())
    return digest.hexdigest()


def _is_short(model: Model, record: Record) -> bool:
    return record.reference is not None and len(model.tokenizer.encode_text(record.reference)) <= MAX_NEW_TOKENS


def _name(keep: Keep | None) -> str:
    if isinstance(keep, Records):
        return str(keep.path)
    return os.fspath(keep) if isinstance(keep, str | os.PathLike) else "the rows in memory"
