"""What the steps of a run will compute: their forests, in the sampler's own order, without computing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.training.row_order import RowOrder
from luthier.training.validation import ROWS_PER_CALL

if TYPE_CHECKING:
    from luthier._core import Dataset, Decoder, ForestCost

MOST_STEPS = 1000
"""A longer run is judged by so many of its steps, spread evenly; 1,000 steps take a few seconds."""


@dataclass(frozen=True)
class Survey:
    """The forests of a run. Sums are over all its steps, estimated where only some were looked at (`surveyed`)."""

    steps: int
    surveyed: int
    tokens: float
    computed_tokens: float
    forward_flops: float
    backward_flops: float
    largest_rows: int
    scratch_bytes: int
    typical: tuple[int, ...]
    """The examples of a step whose work is the median."""

    @property
    def flops(self) -> float:
        """Forward and backward of the whole run."""
        return self.forward_flops + self.backward_flops


def survey_steps(
    decoder: Decoder, dataset: Dataset, sampler: RowOrder, steps: int, micro_tokens: int, mode: str
) -> Survey:
    """Looks at the next `steps` steps of the sampler, which is left behind them. `mode` is lora or full."""
    found: list[tuple[float, list[int], list[ForestCost]]] = []
    for examples in _spread(sampler, steps):
        costs = _core_costs(decoder, dataset, examples, micro_tokens, mode)
        found.append((sum(cost.forward_flops + cost.backward_flops for cost in costs), examples, costs))
    typical = sorted(found, key=lambda step: step[0])[len(found) // 2][1]
    return _survey([cost for _, _, costs in found for cost in costs], steps, len(found), tuple(typical))


def survey_validation(decoder: Decoder, dataset: Dataset, micro_tokens: int, mode: str) -> Survey:
    """The forests of one validation, as `validation_loss` makes them; of many rows, an even choice."""
    begins = range(0, len(dataset), ROWS_PER_CALL)
    chosen = [begin for index, begin in enumerate(begins) if _is_chosen(index, len(begins))]
    costs: list[ForestCost] = []
    for begin in chosen:
        examples = list(range(begin, min(begin + ROWS_PER_CALL, len(dataset))))
        costs += _core_costs(decoder, dataset, examples, micro_tokens, mode)
    return _survey(costs, len(begins), len(chosen), ())


def _core_costs(
    decoder: Decoder, dataset: Dataset, examples: list[int], micro_tokens: int, mode: str
) -> list[ForestCost]:
    from luthier import _core

    return _core.forest_costs(decoder, dataset, examples, micro_tokens, mode)


def _survey(costs: Sequence[ForestCost], steps: int, surveyed: int, typical: tuple[int, ...]) -> Survey:
    factor = steps / surveyed
    return Survey(
        steps=steps,
        surveyed=surveyed,
        tokens=factor * sum(cost.tokens for cost in costs),
        computed_tokens=factor * sum(cost.rows for cost in costs),
        forward_flops=factor * sum(cost.forward_flops for cost in costs),
        backward_flops=factor * sum(cost.backward_flops for cost in costs),
        largest_rows=max(cost.rows for cost in costs),
        scratch_bytes=max(cost.scratch_bytes for cost in costs),
        typical=typical,
    )


def _is_chosen(index: int, count: int) -> bool:
    """MOST_STEPS of `count` numbers, spread evenly and the first among them; all where there are fewer."""
    return count <= MOST_STEPS or index * MOST_STEPS // count != (index - 1) * MOST_STEPS // count


def _spread(sampler: RowOrder, steps: int) -> Iterator[list[int]]:
    for index in range(steps):
        examples = sampler.next()
        if _is_chosen(index, steps):
            yield examples
