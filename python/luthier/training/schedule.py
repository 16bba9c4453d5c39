"""Learning rate schedules, the same numbers as Transformers' `get_{constant,linear,cosine}_schedule_with_warmup`.

Transformers multiplies the peak rate by lambda(k) for optimiser step k counted from 0. With w warmup steps of n in all:
  k < w      lambda = k / max(1, w), so with warmup the very first step has rate 0
  constant   lambda = 1
  linear     lambda = max(0, (n - k) / max(1, n - w))
  cosine     lambda = max(0, (1 + cos(pi (k - w) / max(1, n - w))) / 2)   (Loshchilov and Hutter 2017, eq. 5)
and w = ceil(ratio * n), as `TrainingArguments.get_warmup_steps` does for a ratio.
"""

from __future__ import annotations

import math
from typing import Literal

from luthier.errors import LuthierError

ScheduleName = Literal["cosine", "linear", "constant"]


def warmup_steps(total_steps: int, ratio: float) -> int:
    """Steps of warmup for a fraction of the run: ceil(ratio * total_steps)."""
    return math.ceil(total_steps * ratio)


def learning_rate(step: int, total_steps: int, *, peak: float, schedule: ScheduleName, warmup: int) -> float:
    """The learning rate of optimiser step `step`, counted from 1 (Transformers' k is step - 1).

    Raises LuthierError when `step` is not in 1..total_steps.
    """
    if not 1 <= step <= total_steps:
        raise LuthierError(f"step {step} is not in 1..{total_steps}")
    index = step - 1
    if index < warmup:
        return peak * (index / max(1, warmup))
    if schedule == "constant":
        return peak
    remaining = max(1, total_steps - warmup)
    if schedule == "linear":
        return peak * max(0.0, (total_steps - index) / remaining)
    return peak * max(0.0, 0.5 * (1.0 + math.cos(math.pi * ((index - warmup) / remaining))))
