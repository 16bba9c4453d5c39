"""The validation loss of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from luthier.errors import LuthierError
from luthier.training.interrupts import StopRequest
from luthier.training.ranks import Ranks

if TYPE_CHECKING:
    from luthier._core import Dataset, Trainer

ROWS_PER_CALL = 64


def validation_loss(trainer: Trainer, dataset: Dataset, stop: StopRequest, ranks: Ranks | None = None) -> float | None:
    """The mean negative log-probability over the summed weight of all rows; None when the user asked for a stop
    meanwhile. The rows are divided among `ranks`, each of which gets the loss of all of them.

    Raises LuthierError when it is not finite.
    """
    ranks = ranks or Ranks()
    total = weight = 0.0
    rows_at_once = ROWS_PER_CALL * ranks.count
    for begin in range(0, len(dataset), rows_at_once):
        if stop:
            return None
        part = ranks.part(dataset, range(begin, min(begin + rows_at_once, len(dataset))))
        chunk_loss, chunk_weight = ranks.sum(*(trainer.loss(dataset, part) if part else (0.0, 0.0)))
        total += chunk_loss
        weight += chunk_weight
    loss = total / weight
    if not math.isfinite(loss):
        raise LuthierError("the validation loss is not finite; lower --learning-rate")
    return loss
