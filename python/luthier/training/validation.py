"""The validation loss of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from luthier.errors import LuthierError
from luthier.training.interrupts import StopRequest

if TYPE_CHECKING:
    from luthier._core import Dataset, Trainer

ROWS_PER_CALL = 64


def validation_loss(trainer: Trainer, dataset: Dataset, stop: StopRequest) -> float | None:
    """The mean negative log-probability over the summed weight of all rows; None when the user asked for a stop
    meanwhile.

    Raises LuthierError when it is not finite.
    """
    total = weight = 0.0
    for begin in range(0, len(dataset), ROWS_PER_CALL):
        if stop:
            return None
        chunk_loss, chunk_weight = trainer.loss(dataset, list(range(begin, min(begin + ROWS_PER_CALL, len(dataset)))))
        total += chunk_loss
        weight += chunk_weight
    loss = total / weight
    if not math.isfinite(loss):
        raise LuthierError("the validation loss is not finite; lower --learning-rate")
    return loss
