"""The time that a fit will take, from a few steps of it measured on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.training.survey import Survey

if TYPE_CHECKING:
    from luthier._core import Dataset, Decoder, Trainer

MOST_ROWS = 2048
"""Tokens of the measured step: enough for the products to run at full speed."""
_PATIENCE = 4.0
"""Seconds that measuring should not exceed by much."""


@dataclass(frozen=True)
class Pace:
    """How fast a trainer computes: a step takes `step_seconds` and `flop_seconds` for each operation of its forests."""

    step_seconds: float
    flop_seconds: float
    measured_tokens: int


@dataclass(frozen=True)
class TimePlan:
    """Seconds of a fit, and the pace that they rest on."""

    preparation: float
    """To read the rows and the model, as it took just now."""
    training: float
    validation: float
    finishing: float
    """To count what later rows are compared with, as it took just now."""
    pace: Pace

    @property
    def total(self) -> float:
        """From the start to the result, without an evaluation on test rows."""
        return self.preparation + self.training + self.validation + self.finishing


def measure_pace(
    trainer: Trainer, decoder: Decoder, dataset: Dataset, survey: Survey, micro_tokens: int, mode: str
) -> Pace:
    """Runs training steps on real rows with a learning rate of 0, which leaves the weights as they are.

    A step on one row and one on as many rows of a typical step as have MOST_ROWS tokens: where they differ in work the
    line through both gives the time of a step that does not depend on its tokens, such as the update's.
    """
    row, rows = list(survey.typical[:1]), list(survey.typical)
    small = _work(decoder, dataset, row, micro_tokens, mode)
    small_seconds = _timed_step(trainer, dataset, row)  # libraries start their threads and compile their kernels
    if small_seconds < _PATIENCE / 4:
        small_seconds = min(_timed_step(trainer, dataset, row) for _ in range(2))
    while len(rows) > 1:
        large = _work(decoder, dataset, rows, micro_tokens, mode)
        if large[1] <= MOST_ROWS and large[0] / small[0] * small_seconds <= _PATIENCE:
            break
        rows = rows[: len(rows) // 2]
    if len(rows) == 1:
        return Pace(0.0, small_seconds / small[0], small[1])
    large_seconds = _timed_step(trainer, dataset, rows)
    if large_seconds < _PATIENCE / 2:
        large_seconds = _timed_step(trainer, dataset, rows)  # now in memory that is there already
    return line(small[0], small_seconds, large[0], large_seconds, large[1])


def line(small_work: float, small_seconds: float, large_work: float, large_seconds: float, tokens: int) -> Pace:
    """The pace of two measurements. Where the clock says that a step costs less than nothing, it costs nothing."""
    slope = (large_seconds - small_seconds) / (large_work - small_work) if large_work > small_work else 0.0
    constant = large_seconds - slope * large_work
    if slope <= 0 or constant < 0:
        return Pace(0.0, large_seconds / large_work, tokens)
    return Pace(constant, slope, tokens)


def plan_time(
    pace: Pace, preparation: float, finishing: float, survey: Survey, validation: Survey | None, validations: int
) -> TimePlan:
    """The time of a run whose validation rows are gone over `validations` times."""
    training = survey.steps * pace.step_seconds + survey.flops * pace.flop_seconds
    validated = 0.0 if validation is None else validations * validation.forward_flops * pace.flop_seconds
    return TimePlan(preparation, training, validated, finishing, pace)


def _work(decoder: Decoder, dataset: Dataset, examples: list[int], micro_tokens: int, mode: str) -> tuple[float, int]:
    """Operations and computed tokens of a step over these examples."""
    from luthier import _core

    costs = _core.forest_costs(decoder, dataset, examples, micro_tokens, mode)
    return sum(cost.forward_flops + cost.backward_flops for cost in costs), sum(cost.rows for cost in costs)


def _timed_step(trainer: Trainer, dataset: Dataset, examples: list[int]) -> float:
    begin = time.perf_counter()
    trainer.step(dataset, examples, 0.0)
    return time.perf_counter() - begin
