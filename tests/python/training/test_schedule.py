"""Learning rates equal those of Transformers' schedulers at every step."""

from __future__ import annotations

from typing import Any

import pytest
from luthier.errors import LuthierError
from luthier.training.schedule import ScheduleName, learning_rate, warmup_steps


def transformers_rates(schedule: str, total: int, warmup: int, peak: float) -> list[float]:
    torch = pytest.importorskip("torch")
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    name = {"constant": "constant_with_warmup"}.get(schedule, schedule)
    scheduler: Any = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize(
    ("total", "ratio"), [(1, 0.0), (1, 0.03), (7, 0.0), (20, 0.03), (100, 0.03), (10, 1.0), (33, 0.5)]
)
def test_rates_equal_transformers(schedule: ScheduleName, total: int, ratio: float) -> None:
    warmup = warmup_steps(total, ratio)
    ours = [learning_rate(step, total, peak=5e-4, schedule=schedule, warmup=warmup) for step in range(1, total + 1)]
    assert ours == pytest.approx(transformers_rates(schedule, total, warmup, 5e-4), rel=1e-12, abs=0)


def test_warmup_steps_equal_transformers() -> None:
    from transformers import TrainingArguments

    for total, ratio in [(1, 0.03), (60, 0.03), (100, 0.03), (101, 0.03), (10, 0.0), (7, 0.5)]:
        arguments = TrainingArguments(output_dir="unused", warmup_steps=ratio, use_cpu=True)
        assert warmup_steps(total, ratio) == arguments.get_warmup_steps(total)


def test_a_step_outside_the_run_is_refused() -> None:
    with pytest.raises(LuthierError, match="step 0 is not in 1..5"):
        learning_rate(0, 5, peak=1.0, schedule="linear", warmup=0)
    with pytest.raises(LuthierError, match="step 6 is not in 1..5"):
        learning_rate(6, 5, peak=1.0, schedule="linear", warmup=0)
