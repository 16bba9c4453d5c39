"""The memory that a fit will need, counted from what the core allocates, and the refusal of one that cannot fit.

Weights, gradients, optimiser state and the workspace of a pass are counted by the core, from the same code that
allocates them. What the process holds besides is measured. The rest is the allowance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.training import machine
from luthier.training.settings import FitSettings, Lora
from luthier.training.survey import Survey

if TYPE_CHECKING:
    from luthier._core import Decoder

_ALLOWANCE_BYTES = 160_000_000
"""What a fit takes beyond what is counted: kernels and buffers that the libraries of matrix products keep, modules that
Python imports on the way, and what the allocator loses. Five fits took 68 to 206 MB; see docs/design/performance.md."""
_LEAST_ROWS = 64


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of a fit by what they are for, and what the machine can still give."""

    process: int
    """Resident with the rows and the model loaded, less the weights: Python, libraries, rows."""
    weights: int
    """Of the decoder and the adapter, loaded already."""
    trainer: int
    """Gradients, AdamW's moments, and the fp32 masters of weights."""
    activations: int
    """Of the largest forest, forward and backward."""
    validation: int
    """Of the largest forest of the validation rows."""
    scratch: int
    """Of the operations while they run."""
    allowance: int
    loading_peak: int
    """The most that was resident up to now: reading a model takes more than keeping it."""
    available: int
    """What could still be allocated when this was found out."""

    @property
    def needed(self) -> int:
        """Bytes that are still to be allocated."""
        return self.trainer + self.activations + self.validation + self.scratch + self.allowance

    @property
    def peak(self) -> int:
        """The most that the process will have resident."""
        return max(self.loading_peak, self.process + self.weights + self.needed)

    @property
    def fits(self) -> bool:
        """Whether what is needed is there."""
        return self.needed <= self.available


def plan_memory(
    decoder: Decoder,
    mode: str,
    survey: Survey,
    validation: Survey | None,
    rows: int | None = None,
    recompute: bool = False,
) -> MemoryPlan:
    """The memory of a fit whose rows and model are loaded, and whose trainer is not made yet.

    `rows` stands in for the rows of the largest forest, where another limit is tried out; `recompute`: backward
    computes the layers again.
    """
    from luthier import _core

    weights = _core.weight_bytes(decoder)
    most = survey.largest_rows if rows is None else min(rows, survey.largest_rows)
    scratch = survey.scratch_bytes * most // survey.largest_rows
    validated = 0
    if validation is not None:
        validated = _core.pass_bytes(decoder, min(validation.largest_rows, most if rows else 1 << 62), backward=False)
        scratch = max(scratch, validation.scratch_bytes * most // survey.largest_rows)
    trainer = _core.trainer_bytes(decoder, mode)
    activations = _core.pass_bytes(decoder, most, backward=True, recompute=recompute)
    return MemoryPlan(
        process=max(0, machine.resident_bytes() - weights),
        weights=weights,
        trainer=trainer,
        activations=activations,
        validation=validated,
        scratch=scratch,
        allowance=_ALLOWANCE_BYTES,
        loading_peak=machine.peak_resident_bytes(),
        available=machine.available_bytes(),
    )


def check_memory(
    plan: MemoryPlan, settings: FitSettings, decoder: Decoder, survey: Survey, validation: Survey | None
) -> None:
    """Raises InputError, saying how much is missing and what would fit, when the machine lacks the memory of a fit."""
    if plan.fits:
        return
    ways = ways_to_fit(plan, settings, decoder, survey, validation)
    advice = f"it would fit with {' or '.join(ways)}" if ways else "use a smaller model, or a machine with more memory"
    raise InputError(
        f"not enough memory: the fit needs {gigabytes(plan.needed)} more ({gigabytes(plan.peak)} in all, for forests "
        f"of up to {survey.largest_rows:,} tokens), and {gigabytes(plan.available)} are available; {advice}. "
        "--skip-memory-check tries it all the same"
    )


def ways_to_fit(
    plan: MemoryPlan, settings: FitSettings, decoder: Decoder, survey: Survey, validation: Survey | None
) -> list[str]:
    """Single changes of the settings, as flags, each of which makes the fit fit; empty when none does."""
    mode, low = settings.method, settings.run.memory == "low"
    ways = []
    if not low and plan_memory(decoder, mode, survey, validation, recompute=True).fits:
        ways.append("--memory low")
    rows = most_rows(lambda rows: plan_memory(decoder, mode, survey, validation, rows, low).fits, survey.largest_rows)
    if rows >= _LEAST_ROWS:
        # A forest has at most micro-tokens rows, but one row of the file is never cut into two forests.
        if rows >= settings.data.max_length:
            ways.append(f"--micro-tokens {rows}")
        else:
            ways.append(f"--micro-tokens {rows} --max-length {rows}")
    if isinstance(settings.adapter, Lora):
        if (rank := _rank_that_fits(plan, settings.adapter.rank)) is not None:
            ways.append(f"--rank {rank}")
    elif plan.needed - plan.trainer <= plan.available:
        ways.append("--adapter lora")
    if settings.run.dtype == "float32":
        # Weights and activations halve; what is trained stays in fp32.
        halved = plan.needed - (plan.activations + plan.validation + plan.scratch) // 2
        if mode == "lora" and halved <= plan.available + plan.weights // 2:
            ways.append("--dtype bfloat16")
    return ways


def most_rows(fits: Callable[[int], bool], most: int) -> int:
    """The largest multiple of 64 below `most` for which `fits` holds, 0 if for none; what fits, fits with fewer."""
    low, high = 0, (most - 1) // _LEAST_ROWS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle * _LEAST_ROWS) else (low, middle - 1)
    return low * _LEAST_ROWS


def _rank_that_fits(plan: MemoryPlan, rank: int) -> int | None:
    """A lower rank with which the fit would fit, if the trainer's memory, which grows with it, is what is too much."""
    spare = plan.available - (plan.needed - plan.trainer)
    lower = rank * spare // plan.trainer if plan.trainer > 0 else 0
    return int(lower) if 1 <= lower < rank else None


def gigabytes(count: float) -> str:
    """1234567890 -> "1.23 GB"; below a hundredth of that, in megabytes."""
    return f"{count / 1e9:.2f} GB" if count >= 1e7 else f"{count / 1e6:.2f} MB"
