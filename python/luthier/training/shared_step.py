"""One optimiser step, and what the ledger counts of it, over all processes of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.training.ranks import Ranks

if TYPE_CHECKING:
    from luthier._core import Dataset, Trainer


@dataclass(frozen=True)
class StepTotals:
    """What one optimiser step did, summed over the processes; as `StepResult` of the core."""

    loss: float
    grad_norm: float
    rows: int
    tokens: int
    computed_tokens: int
    supervised_tokens: int


def shared_step(
    ranks: Ranks, trainer: Trainer, dataset: Dataset, examples: Sequence[int], learning_rate: float
) -> StepTotals:
    """One update from the examples, of which each process computes a part.

    Loss and gradient of every part are divided by the summed weight of all examples, so their sums are those of the
    step in one process. Each process then does the same update. Raises LuthierError naming the row in the process whose
    loss or gradient is not finite, and what was raised there in the others.
    """
    if ranks.count == 1:
        result = trainer.step(dataset, examples, learning_rate)
        counts = (result.rows, result.tokens, result.computed_tokens, result.supervised_tokens)
        return StepTotals(result.loss, result.grad_norm, *counts)
    weight = sum(dataset.supervised(example) for example in examples)
    part = trainer.accumulate(dataset, ranks.part(dataset, examples), weight)
    loss, *sums = ranks.sum(part.loss, part.rows, part.tokens, part.computed_tokens, part.supervised_tokens)
    ranks.sum_gradients(trainer)
    rows, tokens, computed, supervised = map(int, sums)
    return StepTotals(loss, trainer.update(learning_rate), rows, tokens, computed, supervised)


def shared_ledger(ranks: Ranks, dataset: Dataset) -> list[dict[str, Any]]:
    """The entries of the data set's ledger with what all processes have counted."""
    entries: list[dict[str, Any]] = dataset.ledger()
    if ranks.count == 1:
        return entries
    keys = ("times_seen", "supervised_tokens", "end_supervised")
    tables = ranks.gather([[entry[key] for key in keys] for entry in entries])
    merged = []
    for entry, *counted in zip(entries, *tables, strict=True):
        # Where a process has not seen a row, its counts are what the row promised, not what was computed.
        seen = [line for line in counted if line[0] > 0] or counted[:1]
        found = {"supervised_tokens": seen[-1][1], "end_supervised": all(line[2] for line in seen)}
        merged.append({**entry, **found, "times_seen": sum(line[0] for line in counted)})
    return merged
