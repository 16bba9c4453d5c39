"""The steps of a run: train, validate, log, save; and stop after a whole step when the user asks for it."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import InputError, LuthierError
from luthier.training.checkpoint import Best, Checkpoints, RunState
from luthier.training.failures import FailedElsewhere
from luthier.training.fit_data import FitRows
from luthier.training.interrupts import Interrupted, StopRequest
from luthier.training.metrics_log import MetricsLog, StepMetrics
from luthier.training.progress import Progress
from luthier.training.ranks import Ranks
from luthier.training.row_order import RowOrder
from luthier.training.shared_step import shared_ledger, shared_step
from luthier.training.step_plan import StepPlan
from luthier.training.validation import validation_loss

if TYPE_CHECKING:
    from torch import Tensor

    from luthier._core import Trainer

_ROW = re.compile(r"\brow (\d+)\b")


@dataclass(frozen=True)
class Job:
    """What the steps of a run work with. `seen_before[i]`: how often earlier parts of the run saw ledger entry i."""

    out: Path
    plan: StepPlan
    trainer: Trainer
    sampler: RowOrder
    train: FitRows
    valid: FitRows | None
    checkpoints: Checkpoints
    progress: Progress
    seen_before: list[int]
    ranks: Ranks

    def times_seen(self) -> list[int]:
        """How often the loss was computed on each ledger entry, over all parts of the run and all its processes."""
        now = [entry["times_seen"] for entry in shared_ledger(self.ranks, self.train.dataset)]
        return [a + b for a, b in zip(now, self.seen_before, strict=True)] if self.seen_before else now


def run_steps(job: Job, state: RunState | None, metrics_path: Path, stop: StopRequest) -> RunState:
    """Runs the steps that `state` (None: none yet) leaves to be done; gives the state after the last.

    Raises Interrupted, with a checkpoint saved, when a stop was asked for.
    """
    done = state.step if state is not None else 0
    unfinished = state if state is not None and not state.validated else None
    kept = done - 1 if unfinished is not None else done
    log = MetricsLog(metrics_path, keep_steps=kept) if job.ranks.first else None
    stop = job.ranks.agreed(stop)
    job.progress.start(done + 1, job.plan.total_steps)
    try:
        if unfinished is not None:
            state = _after_step(job, unfinished.metrics, unfinished, log, stop)
        for step in range(done + 1, job.plan.total_steps + 1):
            state = _after_step(job, run_step(job, step), state, log, stop)
    except OSError as error:
        raise _cannot_log(metrics_path, error) from error
    finally:
        if log is not None:
            log.close()
        job.progress.close()
    if state is None:
        raise LuthierError("the run has no steps")
    return state


def run_step(job: Job, step: int) -> StepMetrics:
    """One optimiser step. Raises LuthierError naming file and line of a row whose loss or gradient is not finite."""
    rate = job.plan.learning_rate(step)
    examples = job.sampler.next()
    begin = time.perf_counter()
    try:
        result = shared_step(job.ranks, job.trainer, job.train.dataset, examples, rate)
    except (InputError, FailedElsewhere):
        raise
    except LuthierError as error:
        raise _with_place(error, step, job) from error
    return {
        "step": step,
        "loss": result.loss,
        "learning_rate": rate,
        "grad_norm": result.grad_norm,
        "rows": result.rows,
        "tokens": result.tokens,
        "computed_tokens": result.computed_tokens,
        "supervised_tokens": result.supervised_tokens,
        "seconds": time.perf_counter() - begin,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _after_step(
    job: Job, metrics: StepMetrics, state: RunState | None, log: MetricsLog | None, stop: StopRequest
) -> RunState:
    """Validates, logs and saves what is due after a step; without a log, in all processes but the first, only the
    first of these."""
    step = metrics["step"]
    best = state.best if state is not None else None
    due = job.valid is not None and job.plan.validates_after(step)
    loss = validation_loss(job.trainer, job.valid.dataset, stop, job.ranks) if due and job.valid is not None else None
    improved = loss is not None and (best is None or loss < best.valid_loss)
    if loss is not None and improved:
        best = Best(step, loss)
    if log is not None:
        log.append(metrics, loss)
    job.progress.step(metrics, loss)
    validated = loss is not None or not due
    save = bool(stop) or improved or job.plan.saves_after(step)
    seen = job.times_seen() if save else []
    after = RunState(step, job.sampler.state(), metrics, validated, best, seen)
    if save and log is not None:
        log.sync()
        job.checkpoints.save(after, _finite(job.trainer.state(copy=False), step))
    if stop:
        raise Interrupted(f"stopped after step {step}; continue with: {job.ranks.command} fit --resume --out {job.out}")
    return after


def _finite(tensors: Mapping[str, Tensor], step: int) -> Mapping[str, Tensor]:
    """The tensors, if all of them are finite: a step may end in infinities that only the next loss would show."""
    import torch

    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise LuthierError(
                f"'{name}' is not finite after step {step}; nothing was saved of this step. "
                "Lower --learning-rate and start anew"
            )
    return tensors


def _with_place(error: LuthierError, step: int, job: Job) -> LuthierError:
    """The error with file and line instead of a row number."""
    match = _ROW.search(str(error))
    if match is None or int(match[1]) >= len(job.train.places):
        return LuthierError(f"step {step}: {error}")
    file, line = job.train.places[int(match[1])]
    return LuthierError(
        f"{file}:{line}: {error} (step {step}); nothing was saved of this step. "
        "Look at the row with 'luthier show', or lower --learning-rate"
    )


def _cannot_log(path: Path, error: OSError) -> LuthierError:
    return LuthierError(
        f"cannot write {path}: {error.strerror or error}; the checkpoints so far are valid. "
        "Free space or make the folder writable, then continue with --resume"
    )
