"""`watch_run`: are new rows still like those that a run was fitted on, and are they answered as well?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.drift import REFERENCE_FILE, Reference, row_features
from luthier.drift.features import system_text, text_hash
from luthier.errors import InputError
from luthier.records import Purpose, Record, Records, read
from luthier.watch.accuracy import Evaluated, measure_accuracy, read_evaluated
from luthier.watch.advice import advise
from luthier.watch.farthest import farthest_rows
from luthier.watch.result import Watch
from luthier.watch.shifts import Shift, answer_length_shift, class_shift, corrected, input_shifts

if TYPE_CHECKING:
    from luthier.text.tokenizer import Tokenizer
    from luthier.training.run import Run

_EXTRA_TOKENS = 8
_MARGIN = 1.25


def watch_run(
    run: Run,
    new: str | PathLike[str] | Records,
    labels: bool = False,
    answers: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    **reading: Any,
) -> Watch:
    """Compares new rows with the reference that the run keeps of its training rows.

    With `labels` the rows end with their right answers, which are compared too, and by which the run's accuracy is
    measured. Without `answers` the run's model is not asked, which takes no time but leaves what it answers unknown.
    The rows are read as those of the run, unless `reading`, options of `luthier.read`, says otherwise. Raises
    InputError for what cannot be read, and for a run without a reference.
    """

    reference = Reference.load(run.folder / REFERENCE_FILE)
    purpose: Purpose = "train" if labels else "prompt"
    records = new if isinstance(new, Records) else read(new, purpose=purpose, **run.reading(**reading))
    if len(records) == 0:
        raise InputError(f"{records.path}: holds no rows to watch")
    if labels and (bare := next((record for record in records if record.reference is None), None)):
        raise InputError(f"{bare.where}: --labels, but the row does not end with the right answer")
    notes: list[str] = []
    if labels and not answers:
        notes.append("accuracy is not measured, since the model was not asked")
    features = row_features(records, _tokenizer_of(run))
    shifts = input_shifts(reference, features)
    if reference.vocabulary is None:
        notes.append("words are not compared: the run had too few different training rows to learn them from")
    evaluated = read_evaluated(run.folder)
    outputs = _answers(run, records, features.tokens, reference, notes, on_progress) if answers else None
    if outputs is not None:
        shifts.append(_answer_shift(reference, evaluated, outputs, notes))
    if labels:
        shifts.append(_label_shift(reference, [str(record.reference) for record in records]))
    shifts = corrected(shifts)
    accuracy = measure_accuracy(records, outputs, evaluated) if labels and outputs is not None else None
    strange = sum(text_hash(system_text(record)) not in reference.systems for record in records)
    advice, reasons = advise(len(records), shifts, accuracy, strange)
    training = _training_rows(run, notes)
    return Watch(
        run=str(run.folder),
        file=str(records.path),
        rows=len(records),
        reference_rows=reference.rows,
        advice=advice,
        reasons=tuple(reasons),
        shifts=tuple(shifts),
        accuracy=accuracy,
        farthest=tuple(farthest_rows(records, features.words, reference, training)),
        notes=tuple(notes),
    )


def _tokenizer_of(run: Run) -> Tokenizer:
    """The base model's tokenizer with the tokens that the run added, or that of a model trained whole."""
    from luthier.models.load import load_tokenizer
    from luthier.models.locate import locate

    settings = run.settings
    if settings["adapter"] != "lora":
        return load_tokenizer(locate(str(run.folder / "model")))
    return load_tokenizer(locate(str(settings["model"]))).with_tokens(settings.get("add_token") or ())


def _answers(
    run: Run,
    records: Sequence[Record],
    tokens: Sequence[int],
    reference: Reference,
    notes: list[str],
    on_progress: Callable[[int, int], None] | None,
) -> list[str]:
    """The model's answers; an empty one where a prompt leaves no room for it."""
    most = int(reference.longest_answer * _MARGIN) + _EXTRA_TOKENS
    model = run.model()
    limit = int(model.decoder.config["max_positions"])
    short = [index for index, count in enumerate(tokens) if int(count) + most <= limit]
    if len(short) < len(records):
        notes.append(f"{len(records) - len(short):,} rows are too long for the model to answer; they count as wrong")
    done = None if on_progress is None else lambda finished: on_progress(finished, len(short))
    outputs = [""] * len(records)
    for index, answer in zip(short, model.answer([records[index] for index in short], most, on_done=done), strict=True):
        outputs[index] = answer
    return outputs


def _answer_shift(reference: Reference, evaluated: Evaluated, outputs: Sequence[str], notes: list[str]) -> Shift:
    """The model's answers now beside its answers at the evaluation; without one, beside the right answers of training,
    to which the model's own errors count as a shift."""
    from collections import Counter

    import numpy

    if not evaluated.outputs:
        notes.append("answers are compared with the right answers of training, as the run has no evaluation yet")
    name = "given by the model"
    if reference.answers is not None:
        counts = Counter(text_hash(output) for output in evaluated.outputs) or Counter(reference.answers)
        return class_shift("answers", name, counts, outputs)
    lengths = numpy.array([len(output.strip()) for output in evaluated.outputs])
    return answer_length_shift("answers", name, lengths if len(lengths) else reference.answer_characters, outputs)


def _label_shift(reference: Reference, labels: Sequence[str]) -> Shift:
    if reference.answers is not None:
        return class_shift("labels", "right answers", reference.answers, labels)
    return answer_length_shift("labels", "right answers", reference.answer_characters, labels)


def _training_rows(run: Run, notes: list[str]) -> Sequence[Record] | None:
    """The rows that the run was fitted on, where they are still there."""
    path = run.settings.get("train")
    if path is None or not Path(path).is_file():
        notes.append("the training file is gone, so that the nearest training rows are not known")
        return None
    try:
        return read(path, **run.reading(skip_bad=True))
    except InputError as error:
        notes.append(f"the nearest training rows are not known: {error}")
        return None
