"""The space that a run takes in its output folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.training import machine
from luthier.training.checkpoint import KEEP_LAST
from luthier.training.memory_plan import gigabytes
from luthier.training.step_plan import StepPlan

if TYPE_CHECKING:
    from luthier._core import Decoder

_OTHER_FILES = 16 << 20
"""Tokenizer, ledger, metrics: a few megabytes."""


@dataclass(frozen=True)
class DiskPlan:
    """Bytes on the disk under --out."""

    checkpoint: int
    """Of one: fp32 masters and both moments."""
    checkpoints: int
    """How many stand side by side at most: those that are kept, and one that is being written."""
    result: int
    """Of the adapter, or of the model after full fine-tuning."""
    available: int
    runs: int = 1
    """How many runs there will be, one for each seed."""

    @property
    def needed(self) -> int:
        """All of it."""
        return self.runs * (self.checkpoint * self.checkpoints + self.result + _OTHER_FILES)

    @property
    def fits(self) -> bool:
        """Whether there is room."""
        return self.needed <= self.available


def plan_disk(decoder: Decoder, mode: str, steps: StepPlan, out: Path, present: int = 0, runs: int = 1) -> DiskPlan:
    """The space that `runs` runs need in `out`, which need not exist. `present`: checkpoints that are there already."""
    from luthier import _core

    trained = _core.trained_count(decoder, mode)
    saves = -(-steps.total_steps // steps.save_every)
    kept = min(KEEP_LAST + 1 + (1 if steps.has_validation else 0), saves + (1 if steps.has_validation else 0))
    result = 4 * trained if mode == "lora" else trained * (4 if decoder.dtype == "float32" else 2)
    return DiskPlan(12 * trained, max(1, kept - present), result, machine.free_disk_bytes(out), runs)


def check_disk(plan: DiskPlan, out: Path) -> None:
    """Raises InputError, saying how much is missing, when the disk has no room for the run."""
    if not plan.fits:
        raise InputError(
            f"{out}: not enough room on the disk: {_for_seeds(plan)}{plan.checkpoints} checkpoints of "
            f"{gigabytes(plan.checkpoint)} and "
            f"the result of {gigabytes(plan.result)} need {gigabytes(plan.needed)}, and "
            f"{gigabytes(plan.available)} are free; free some space, choose another --out, or lower --rank"
        )


def _for_seeds(plan: DiskPlan) -> str:
    return "" if plan.runs == 1 else f"for each of {plan.runs} seeds "
