"""The probability of each label as the whole answer to a prompt, among the labels.

P(label) is the product over the label's tokens and the end of the turn. The prompts of some rows, each with every label
behind it, are one prefix forest, so a prompt is computed once however many labels there are.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.evaluation.answers import Progress, reference
from luthier.evaluation.calibration import Calibration, calibration
from luthier.records import Message, Record

if TYPE_CHECKING:
    from luthier.models.model import Model

_ROWS_AT_ONCE = 16
_MICRO_TOKENS = 4096


def label_calibration(
    model: Model, rows: Sequence[Record], most: int, on_progress: Progress | None = None
) -> Calibration:
    """The calibration over the labels that the references hold, on `most` rows drawn at random (always the same ones).

    Raises InputError for a row that cannot be encoded, or whose prompt and labels are longer than the model holds.
    """
    labels = sorted({reference(record).strip() for record in rows})
    chosen = [rows[row] for row in random.Random(0).sample(range(len(rows)), min(most, len(rows)))]
    confidences, right = [], []
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        part = chosen[start : start + _ROWS_AT_ONCE]
        for record, values in zip(part, label_probabilities(model, part, labels), strict=True):
            confidences.append(max(values))
            right.append(labels[values.index(max(values))] == reference(record).strip())
        if on_progress is not None:
            on_progress(len(confidences), len(chosen))
    return calibration(confidences, right)


def label_probabilities(model: Model, records: Sequence[Record], labels: Sequence[str]) -> list[list[float]]:
    """For each record the probability of each label behind its prompt; they sum to 1.

    Raises InputError for a record that cannot be encoded, or whose prompt and labels are longer than the model holds.
    """
    from luthier import _core

    holds = int(model.decoder.config["max_positions"])
    dataset = _core.Dataset(holds)
    for index, row in enumerate(model.encoder.encode_rows(_answered(records, labels))):
        if len(row.tokens) > holds:
            where = records[index // len(labels)].where
            raise InputError(f"{where}: {len(row.tokens):,} tokens with its label, and the model holds {holds:,}")
        dataset.add(index, row.tokens, row.weights, row.ends)
    sums = _core.losses(model.decoder, dataset, list(range(len(records) * len(labels))), _MICRO_TOKENS)
    found = []
    for first in range(0, len(sums), len(labels)):
        losses = [loss for loss, _ in sums[first : first + len(labels)]]
        weights = [math.exp(min(losses) - loss) for loss in losses]
        found.append([weight / sum(weights) for weight in weights])
    return found


def _answered(records: Sequence[Record], labels: Sequence[str]) -> list[Record]:
    """Each record with each label as its answer, which alone is supervised."""
    answered = []
    for record in records:
        read = tuple(replace(message, weight=0.0) for message in record.prompt)
        answered += [replace(record, messages=(*read, Message("assistant", label)), weight=1.0) for label in labels]
    return answered
