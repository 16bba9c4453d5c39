"""The probability of each label as the whole answer to a prompt, among the labels.

P(label) is the product over the label's tokens and the end of the turn. One pass over prompt and label gives the
probabilities along it, and with them an upper bound for every label that begins alike: its product so far. Labels are
followed in the order of these bounds until what is left can change no probability by more than `TOLERANCE`; a model
that is sure of its label needs one or two passes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from luthier.evaluation.answers import Progress, reference
from luthier.evaluation.calibration import Calibration, calibration
from luthier.records import Message, Record

if TYPE_CHECKING:
    from luthier.models.model import Model

TOLERANCE = 0.02
PASSES_PER_ROW = 2
"""What the calibration may take on average; a model that is unsure takes one for each label that it weighs."""


@dataclass(frozen=True)
class LabelProbabilities:
    """The probability of each label, which sum to 1, and how many passes over the prompt they took."""

    values: list[float]
    passes: int


def label_calibration(
    model: Model, rows: Sequence[Record], most: int, on_progress: Progress | None = None
) -> Calibration:
    """The calibration over the labels that the references hold, on `most` rows drawn at random (always the same ones).

    It ends early where the rows take more than `PASSES_PER_ROW` passes on average. Raises InputError for a row that
    cannot be encoded.
    """
    labels = sorted({reference(record).strip() for record in rows})
    chosen = random.Random(0).sample(range(len(rows)), min(most, len(rows)))
    confidences, right = [], []
    passes = 0
    for count, row in enumerate(chosen, start=1):
        found = label_probabilities(model, rows[row], labels)
        confidences.append(max(found.values))
        right.append(labels[found.values.index(max(found.values))] == reference(rows[row]).strip())
        passes += found.passes
        if on_progress is not None:
            on_progress(count, len(chosen))
        if passes >= PASSES_PER_ROW * len(chosen):
            break
    return calibration(confidences, right)


def label_probabilities(model: Model, record: Record, labels: Sequence[str]) -> LabelProbabilities:
    """The probability of each label for one row; each is within `TOLERANCE` of the exact value.

    Labels that follow the best ones at a distance have 0. Raises InputError for a row that cannot be encoded.
    """
    paths = _paths(model, record, labels)
    known: dict[tuple[int, ...], float] = {}  # log-probability of the token that ends each path of tokens
    done: dict[int, float] = {}
    passes = 0
    while len(done) < len(paths):
        bounds = {index: _bound(path, known) for index, path in enumerate(paths) if index not in done}
        top = max([*done.values(), *bounds.values()])
        rest = sum(math.exp(bound - top) for bound in bounds.values())
        if done and rest <= TOLERANCE * sum(math.exp(value - top) for value in done.values()):
            break
        _follow(model, paths[max(bounds, key=bounds.__getitem__)], paths, known)
        passes += 1
        done = {index: _bound(path, known) for index, path in enumerate(paths) if _is_known(path, known)}
    top = max(done.values())
    weights = [math.exp(done[index] - top) if index in done else 0.0 for index in range(len(paths))]
    return LabelProbabilities([weight / sum(weights) for weight in weights], passes)


_Path = tuple[tuple[int, ...], int]
"""The tokens of prompt and label, and how many of them are the prompt's."""


def _paths(model: Model, record: Record, labels: Sequence[str]) -> list[_Path]:
    read = tuple(replace(message, weight=0.0) for message in record.prompt)
    rows = [replace(record, messages=(*read, Message("assistant", label)), weight=1.0) for label in labels]
    paths = []
    for row in model.encoder.encode_rows(rows):
        supervised = [index for index, weight in enumerate(row.weights) if weight]
        paths.append((tuple(row.tokens[: supervised[-1] + 1]), supervised[0]))
    return paths


def _bound(path: _Path, known: dict[tuple[int, ...], float]) -> float:
    tokens, start = path
    return sum(known.get(tokens[: end + 1], 0.0) for end in range(start, len(tokens)))


def _is_known(path: _Path, known: dict[tuple[int, ...], float]) -> bool:
    tokens, start = path
    return all(tokens[: end + 1] in known for end in range(start, len(tokens)))


def _follow(model: Model, path: _Path, paths: Sequence[_Path], known: dict[tuple[int, ...], float]) -> None:
    """Notes the log-probability of every next token that some path has after a beginning of this one."""
    tokens, _ = path
    logits = model.logits(tokens[:-1])
    normalizers: dict[int, float] = {}
    for other, start in paths:
        for end in range(start, min(len(tokens), len(other))):
            if other[:end] != tokens[:end]:
                break
            row = logits[end - 1]
            if end not in normalizers:
                normalizers[end] = float(row.logsumexp(0))
            known[other[: end + 1]] = float(row[other[end]]) - normalizers[end]
