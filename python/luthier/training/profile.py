"""Where the time of training steps goes, by operation: `profile_fit`, and the `Profile` it returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.training.roofs import RoofProbe, Roofs
from luthier.training.settings import FitSettings, Lora, compose

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from luthier._core import OpTotals

OUTSIDE = "outside operations"
WARM_UP = 2


@dataclass(frozen=True)
class OperationProfile:
    """One operation, per step: calls, seconds, and the share of the step; its rates while it ran.

    `roof_share` is the least time that the machine's roofs leave for its operations and bytes, whichever is longer,
    over the time it took (Williams et al., "Roofline", 2009). It may exceed 1 where operands come from a cache.
    """

    name: str
    calls: float
    seconds: float
    share: float
    flops_per_second: float
    bytes_per_second: float
    roof_share: float


@dataclass(frozen=True)
class Profile:
    """The mean measured step, split into operations, the longest first, and what was spent outside of them."""

    model: str
    dtype: str
    threads: int
    instruction_set: str
    steps: int
    step_seconds: float
    tokens: float
    computed_tokens: float
    operations: tuple[OperationProfile, ...]
    outside_seconds: float
    roofs: Roofs

    def shares(self) -> dict[str, float]:
        """The share of the step's time by operation, "outside operations" among them: together 1."""
        shares = {operation.name: operation.share for operation in self.operations}
        return shares | {OUTSIDE: self.outside_seconds / self.step_seconds}

    def to_json(self) -> dict[str, Any]:
        """All figures and the shares, for json.dumps."""
        return asdict(self) | {"shares": self.shares()}

    def lines(self) -> Iterator[tuple[str, ...]]:
        """The rows of the table as text: operation, calls, ms, share, GFLOP/s, GB/s, share of the roof."""
        for operation in self.operations:
            yield (
                operation.name,
                f"{operation.calls:,.0f}",
                f"{operation.seconds * 1e3:,.1f}",
                f"{operation.share:.1%}",
                f"{operation.flops_per_second / 1e9:,.0f}",
                f"{operation.bytes_per_second / 1e9:,.1f}",
                f"{operation.roof_share:.0%}",
            )
        yield (OUTSIDE, "", f"{self.outside_seconds * 1e3:,.1f}", f"{self.shares()[OUTSIDE]:.1%}", "", "", "")

    def summary(self) -> Iterator[str]:
        """What was measured, and the roofs."""
        yield (
            f"{self.model}, {self.dtype}, {self.instruction_set}, {self.threads} threads: {self.step_seconds:.3f} s a "
            f"step of {self.tokens:,.0f} tokens ({self.computed_tokens:,.0f} computed), mean of {self.steps}"
        )
        yield (
            f"roofs: {self.roofs.bfloat16 / 1e9:,.0f} GFLOP/s in bf16, {self.roofs.float32 / 1e9:,.0f} in fp32, "
            f"{self.roofs.bandwidth / 1e9:.1f} GB/s"
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        yield from (Text(line) for line in self.summary())
        table = Table("operation")
        for column in ("calls", "ms/step", "share", "GFLOP/s", "GB/s", "roof"):
            table.add_column(column, justify="right", no_wrap=True)
        for line in self.lines():
            table.add_row(Text(line[0]), *line[1:])
        yield table


def profile_fit(
    values: Mapping[str, Any],
    steps: int = 3,
    warm_up: int = WARM_UP,
    probe: Callable[[], Roofs] | None = None,
) -> Profile:
    """Makes optimiser steps as `luthier fit` with these flat settings would, in memory, and measures the last `steps`.

    Nothing is written: `out` and whatever concerns saving, validation and the number of steps is ignored. The learning
    rate is the peak of the schedule. The roofs are measured by `probe` (default: a RoofProbe) between the steps, and
    their medians taken. Raises InputError for wrong input, as `fit` does.
    """
    from luthier import _core

    if steps < 1 or warm_up < 0:
        raise InputError(f"steps is {steps} and warm-up {warm_up}: measure at least one step")
    settings = compose({**values, "out": "unused"})
    if settings.run.threads is not None:
        _core.set_threads(settings.run.threads)
    step = _stepper(settings)
    for _ in range(warm_up):
        step()
    probe = probe or RoofProbe()
    measured: list[tuple[float, int, int]] = []
    roofs: list[Roofs] = []
    totals: list[Mapping[str, OpTotals]] = []
    for _ in range(steps):
        roofs.append(probe())
        _core.start_op_timing()
        try:
            measured.append(step())
        finally:
            _core.stop_op_timing()
        totals.append(_core.op_totals())
    return _profile(settings, measured, totals, Roofs.median(roofs))


def _stepper(settings: FitSettings) -> Callable[[], tuple[float, int, int]]:
    """A function that makes the next step and gives its seconds, tokens and computed tokens."""
    from luthier.models.load import load_decoder, load_tokenizer
    from luthier.models.locate import locate
    from luthier.training import fit_model
    from luthier.training.fit_data import load_rows
    from luthier.training.row_order import row_order

    data, optimizer, run = settings.data, settings.optimizer, settings.run
    if data.train is None:
        raise InputError("no training rows: name a file, such as luthier profile train.jsonl --model MODEL")
    source = locate(settings.model)
    tokenizer = load_tokenizer(source).with_tokens(settings.vocabulary.add_token)
    rows, _ = load_rows(data.model_copy(update={"valid": None}), tokenizer)
    decoder = load_decoder(source, run.dtype)
    tokens = fit_model.give_rows(decoder, tokenizer, settings)
    if isinstance(settings.adapter, Lora):
        fit_model.attach(decoder, settings.adapter, run.seed, source.name, tokens)
    trainer = fit_model.make_trainer(decoder, settings)
    sampler = row_order(rows, settings)

    def step() -> tuple[float, int, int]:
        examples = sampler.next()
        begin = time.perf_counter()
        result = trainer.step(rows.dataset, examples, optimizer.learning_rate)
        return time.perf_counter() - begin, result.tokens, result.computed_tokens

    return step


def _profile(
    settings: FitSettings,
    measured: Sequence[tuple[float, int, int]],
    totals: Sequence[Mapping[str, OpTotals]],
    roofs: Roofs,
) -> Profile:
    from luthier import _core

    steps = len(measured)
    seconds, tokens, computed = (sum(column) / steps for column in zip(*measured, strict=True))
    dtype = settings.run.dtype
    names = dict.fromkeys(name for found in totals for name in found)
    operations = [_operation(name, totals, seconds, roofs, dtype) for name in names]
    return Profile(
        settings.model,
        dtype,
        _core.threads(),
        _core.instruction_set(),
        steps,
        seconds,
        tokens,
        computed,
        tuple(sorted(operations, key=lambda operation: -operation.seconds)),
        seconds - sum(operation.seconds for operation in operations),
        roofs,
    )


def _operation(
    name: str, totals: Sequence[Mapping[str, OpTotals]], step_seconds: float, roofs: Roofs, dtype: str
) -> OperationProfile:
    found = [step[name] for step in totals if name in step]
    calls, seconds, flops, moved = (
        sum(getattr(item, figure) for item in found) / len(totals) for figure in ("calls", "seconds", "flops", "bytes")
    )
    spent = max(seconds, 1e-12)
    least = max(flops / roofs.product(dtype), moved / roofs.bandwidth)
    return OperationProfile(name, calls, seconds, seconds / step_seconds, flops / spent, moved / spent, least / spent)
