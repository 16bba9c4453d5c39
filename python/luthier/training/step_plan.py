"""How many steps a run has, and what is due after each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from luthier.training import schedule
from luthier.training.settings import OptimizerSettings, RunSettings


@dataclass(frozen=True)
class StepPlan:
    """The steps of a run, counted from 1, with their learning rates and the points of validation and saving."""

    total_steps: int
    steps_per_epoch: int
    optimizer: OptimizerSettings
    save_every: int
    valid_every: int | None
    has_validation: bool

    def learning_rate(self, step: int) -> float:
        """The learning rate of `step`; see `schedule`."""
        warmup = schedule.warmup_steps(self.total_steps, self.optimizer.warmup)
        peak = self.optimizer.learning_rate
        return schedule.learning_rate(
            step, self.total_steps, peak=peak, schedule=self.optimizer.schedule, warmup=warmup
        )

    def validates_after(self, step: int) -> bool:
        """Whether the validation loss is due: after the last step, and every `valid_every` steps where that is set.

        Otherwise after each epoch, and in a run limited by `steps` also after every `save_every` steps.
        """
        if not self.has_validation:
            return False
        if step == self.total_steps:
            return True
        if self.valid_every is not None:
            return step % self.valid_every == 0
        by_steps = self.optimizer.steps is not None and step % self.save_every == 0
        return by_steps or step % self.steps_per_epoch == 0

    def validations(self) -> int:
        """How often the validation loss is measured in the whole run."""
        return sum(self.validates_after(step) for step in range(1, self.total_steps + 1))

    def saves_after(self, step: int) -> bool:
        """Whether a checkpoint is due: every `save_every` steps and after the last."""
        return step % self.save_every == 0 or step == self.total_steps


def plan_steps(steps_per_epoch: int, optimizer: OptimizerSettings, run: RunSettings, has_validation: bool) -> StepPlan:
    """The plan for a data set; `steps` limits the run where it is given, else ceil(epochs * steps_per_epoch) as in
    Transformers.
    """
    total = optimizer.steps if optimizer.steps is not None else math.ceil(optimizer.epochs * steps_per_epoch)
    return StepPlan(total, steps_per_epoch, optimizer, run.save_every, run.valid_every, has_validation)
