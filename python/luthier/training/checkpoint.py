"""Checkpoints: `checkpoints/step-000123/`, each complete or absent, whatever happens while it is written.

    trainer.safetensors   fp32 masters, AdamW moments and step count, as the core's trainer gives them
    state.json            everything else a run needs to go on: step, sampler, best so far, the step's metrics, rows
    seen

No other random state exists: orders and initial values come from counter-based generators that are part of the
sampler's state and of the seed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.errors import InputError, LuthierError
from luthier.training.metrics_log import StepMetrics

if TYPE_CHECKING:
    from torch import Tensor

TENSORS = "trainer.safetensors"
STATE = "state.json"
KEEP_LAST = 2
_NAME = re.compile(r"step-(\d{6,})")


@dataclass(frozen=True)
class Best:
    """The lowest validation loss so far and the step it was measured after."""

    step: int
    valid_loss: float


@dataclass(frozen=True)
class RunState:
    """Where a run stands after `step`. `validated` is False when a due validation was cut short by the user."""

    step: int
    sampler: dict[str, int]
    metrics: StepMetrics
    validated: bool = True
    best: Best | None = None
    times_seen: list[int] = field(default_factory=list)


class Checkpoints:
    """The folder of a run's checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, step: int) -> Path:
        """The folder of the checkpoint after `step`, whether or not it exists."""
        return self.folder / f"step-{step:06d}"

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending."""
        if not self.folder.is_dir():
            return []
        names = ((_NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        complete = (match for match, path in names if match and (path / STATE).is_file() and (path / TENSORS).is_file())
        return sorted(int(match[1]) for match in complete)

    def save(self, state: RunState, tensors: Mapping[str, Tensor]) -> None:
        """Writes the checkpoint of `state.step`, then removes those that are neither best nor among the last two.

        Raises LuthierError when the folder cannot be written; the earlier checkpoints are then as they were.
        """
        from luthier.formats import write_safetensors

        def fill(folder: Path) -> None:
            write_safetensors(folder / TENSORS, dict(tensors), {"format": "luthier-trainer"})
            (folder / STATE).write_text(json.dumps(asdict(state), allow_nan=False), encoding="utf-8")

        try:
            durable.write_folder(self.path(state.step), fill)
        except (OSError, LuthierError) as error:
            reason = getattr(error, "strerror", None) or error
            kept = self.steps()
            last = f"the checkpoint of step {kept[-1]} is untouched" if kept else "there is no earlier checkpoint"
            raise LuthierError(
                f"cannot save the checkpoint {self.path(state.step)}: {reason}; {last}. "
                "Make the folder writable or free space, then continue with --resume"
            ) from error
        self._prune(state.best)

    def load_state(self, step: int) -> RunState:
        """The state of a complete checkpoint. Raises InputError when its file is damaged."""
        path = self.path(step) / STATE
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            best = Best(**values.pop("best")) if values["best"] is not None else values.pop("best")
            return RunState(**values, best=best)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}: damaged checkpoint ({error}); remove its folder to continue from the one before"
            ) from None

    def load_tensors(self, step: int) -> dict[str, Tensor]:
        """The trainer's state of a complete checkpoint. Raises InputError when its file is damaged."""
        from luthier.formats import read_safetensors

        return read_safetensors(self.path(step) / TENSORS)

    def clean(self) -> None:
        """Removes what a crash left half-written."""
        for path in self.folder.glob(f"*{durable.TEMPORARY}"):
            shutil.rmtree(path, ignore_errors=True)

    def _prune(self, best: Best | None) -> None:
        for step in self.steps()[:-KEEP_LAST]:
            if best is None or step != best.step:
                try:
                    durable.remove_folder(self.path(step))
                except OSError:
                    return  # an old checkpoint too many does no harm
