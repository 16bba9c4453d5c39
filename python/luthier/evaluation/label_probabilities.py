"""The probability of each label as the whole answer to a prompt, among the labels.

P(label) is the product over the label's tokens and the end of the turn. The prompts of some rows, each with every label
behind it, are one prefix forest, so a prompt is computed once however many labels there are.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.evaluation.answers import Progress, reference
from luthier.evaluation.calibration import Calibration, calibration
from luthier.generation.label_tokens import answered
from luthier.records import Record

if TYPE_CHECKING:
    from luthier.models.model import Model

_ROWS_AT_ONCE = 16
_MICRO_TOKENS = 4096


def label_calibration(
    model: Model, rows: Sequence[Record], most: int, on_progress: Progress | None = None
) -> Calibration | None:
    """The calibration over the labels that the references hold, on `most` rows drawn at random (always the same ones).

    Rows that are longer than the model holds are left out; None where no row is left. Raises InputError for a row that
    cannot be encoded.
    """
    labels = sorted({reference(record).strip() for record in rows})
    chosen = [rows[row] for row in random.Random(0).sample(range(len(rows)), min(most, len(rows)))]
    confidences, right = [], []
    done = 0
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        part = chosen[start : start + _ROWS_AT_ONCE]
        for record, values in zip(part, label_probabilities(model, part, labels), strict=True):
            if values is not None:
                confidences.append(max(values))
                right.append(labels[values.index(max(values))] == reference(record).strip())
        done += len(part)
        if on_progress is not None:
            on_progress(done, len(chosen))
    return calibration(confidences, right) if confidences else None


def label_probabilities(model: Model, records: Sequence[Record], labels: Sequence[str]) -> list[list[float] | None]:
    """For each record the probability of each label behind its prompt, which sum to 1; None for a record that is longer
    than the model holds with some label.

    Raises InputError for a record that cannot be encoded.
    """
    from luthier import _core

    holds = int(model.decoder.config["max_positions"])
    dataset = _core.Dataset(holds)
    found: list[list[float] | None] = []
    fitting = []
    for record in records:
        rows = list(model.encoder.encode_rows(answered(record, labels)))
        found.append(None)
        if all(len(row.tokens) <= holds for row in rows):
            fitting.append(len(found) - 1)
            for row in rows:
                dataset.add(len(found) - 1, row.tokens, row.weights, row.ends)
    sums = _core.losses(model.decoder, dataset, list(range(len(dataset))), _MICRO_TOKENS)
    for count, index in enumerate(fitting):
        losses = [loss for loss, _ in sums[count * len(labels) : (count + 1) * len(labels)]]
        weights = [math.exp(min(losses) - loss) for loss in losses]
        found[index] = [weight / sum(weights) for weight in weights]
    return found
