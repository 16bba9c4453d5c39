"""One measured process, and what follows from several of them: rates, ratios and their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

WARM_UP = 2
"""The steps at the start of each process that are not counted."""
SIDES = {"luthier": "Luthier", "trl": "TRL + PEFT", "compiled": "compiled loop"}
FIRST_LOSS_TOLERANCE = 0.03


@dataclass(frozen=True)
class Spread:
    """The median of a figure over the rounds, with the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one value or more."""
        return cls(median(values), min(values), max(values))

    def text(self, scale: float = 1.0, digits: int = 1, unit: str = "") -> str:
        """The median, with the range in brackets where there is one: "12.3x (11.0 to 13.1)"."""
        middle, low, high = (f"{value / scale:,.{digits}f}" for value in (self.median, self.low, self.high))
        return f"{middle}{unit}" if low == high else f"{middle}{unit} ({low} to {high})"


@dataclass(frozen=True)
class Measured:
    """What one side did in one round: per step the seconds, dataset tokens and loss; memory of the whole process.

    `compile_seconds` is what went before the steps, where a side compiles; `finished` the time (Unix) at the end of the
    last step, where a side says it.
    """

    seconds: list[float]
    tokens: list[int]
    losses: list[float]
    row_tokens: list[int]
    row_supervised: list[int]
    peak_bytes: int
    rows_per_step: int
    wall_seconds: float
    computed_tokens: list[int] | None = None
    compile_seconds: float | None = None
    finished: float | None = None

    @property
    def counted_seconds(self) -> float:
        """The time of the steps after the warm-up."""
        return sum(self.seconds[WARM_UP:])

    @property
    def tokens_per_second(self) -> float:
        """Dataset tokens, counted before any sharing, per second."""
        return sum(self.tokens[WARM_UP:]) / self.counted_seconds

    @property
    def rows_per_second(self) -> float:
        """Rows per second."""
        return self.rows_per_step * len(self.seconds[WARM_UP:]) / self.counted_seconds


@dataclass(frozen=True)
class Round:
    """One round of a workload: the roof (FLOP/s), and each side by the key of SIDES; all have Luthier."""

    roof: dict[str, Any]
    sides: dict[str, Measured]


@dataclass(frozen=True)
class Comparison:
    """A workload over all rounds. `step_flops` is what a counted step needs at least, where nothing is shared."""

    rounds: list[Round]
    step_flops: float | None

    def beside(self, side: str) -> Comparison:
        """The rounds that a side took part in."""
        return Comparison([item for item in self.rounds if side in item.sides], self.step_flops)

    def spread(self, side: str, figure: str) -> Spread:
        """The spread of a figure of Measured for a side that took part in every round."""
        return Spread.of([float(getattr(item.sides[side], figure)) for item in self.rounds])

    def ratio(self, side: str, figure: str) -> Spread:
        """Luthier's figure over that of a side in the same round."""
        pairs = [(item.sides["luthier"], item.sides[side]) for item in self.rounds]
        return Spread.of([getattr(ours, figure) / getattr(theirs, figure) for ours, theirs in pairs])

    def roof(self) -> Spread:
        """The rounds' best rates of the bf16 product, in FLOP/s."""
        return Spread.of([item.roof["best"] for item in self.rounds])

    def roof_share(self, side: str) -> Spread | None:
        """The needed operations per second over the roof of the same round; None where rows share a prefix."""
        if self.step_flops is None:
            return None
        return Spread.of([self._share(item, item.sides[side]) for item in self.rounds])

    def _share(self, item: Round, measured: Measured) -> float:
        done = (self.step_flops or 0.0) * len(measured.seconds[WARM_UP:])
        return float(done / measured.counted_seconds / item.roof["best"])


def check_same_work(side: str, expected: dict[str, Any], steps: int, rows_per_step: int, measured: Measured) -> None:
    """Raises ValueError unless a side trained on the expected tokens in the same order."""
    per_step = [sum(expected["tokens"][i : i + rows_per_step]) for i in range(0, steps * rows_per_step, rows_per_step)]
    facts = (
        ("tokens of the rows", measured.row_tokens, expected["tokens"]),
        ("supervised tokens of the rows", measured.row_supervised, expected["supervised"]),
        ("tokens of the steps", measured.tokens, per_step),
    )
    for what, found, wanted in facts:
        if found != wanted:
            raise ValueError(f"{SIDES[side]}'s {what} are {found[:8]}..., expected {wanted[:8]}...")
    if len(measured.seconds) != steps or len(measured.losses) != steps:
        raise ValueError(f"{SIDES[side]} made {len(measured.seconds)} steps, expected {steps}")


def first_losses_agree(sides: dict[str, Measured]) -> bool:
    """Whether all sides began at the same loss, to 3 %.

    All start from the same weights and an adapter that changes nothing, so that only bf16 rounding differs.
    """
    ours = sides["luthier"].losses[0]
    return all(abs(ours - other.losses[0]) <= FIRST_LOSS_TOLERANCE * other.losses[0] for other in sides.values())
