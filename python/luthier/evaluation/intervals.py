"""How far a figure, or the difference of two, may be off because the test rows are a sample.

All resampling draws rows with replacement. A metric is given as counts per row and a function from their sums to the
figure (`RowCounts`), so that a resample is one product of a matrix of how often each row was drawn with the counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]

RESAMPLES = 2000
SEED = 0
CONFIDENCE = 0.95
_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class McNemar:
    """Rows that only the first system has right, rows that only the second has, and the p-value."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True, eq=False)
class RowCounts:
    """A metric of one system: `counts` is [rows, k], `value` maps their sums [..., k] over rows to the figure [...]."""

    name: str
    counts: Counts
    value: Callable[[Counts], Counts]

    def figure(self) -> float:
        """The figure over all rows."""
        return float(self.value(self.counts.sum(axis=0)))


def bootstrap(metric: RowCounts, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """The percentile interval of one figure (Efron & Tibshirani 1993, section 13.3)."""
    figures = [metric.value(drawn @ metric.counts) for drawn in _draws(len(metric.counts), resamples, seed)]
    return _percentiles(metric.figure(), figures)


def paired_bootstrap(first: RowCounts, second: RowCounts, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """The percentile interval of `first` minus `second`, two systems on the same rows in the same order.

    Both are computed on each resample of rows (Koehn 2004, "Statistical significance tests for machine translation
    evaluation"), so rows that are hard for both do not widen the interval. Raises ValueError where the rows differ in
    number.
    """
    if len(first.counts) != len(second.counts):
        raise ValueError(f"[intervals] {len(first.counts)} rows beside {len(second.counts)}: they cannot be paired")
    differences = [
        first.value(drawn @ first.counts) - second.value(drawn @ second.counts)
        for drawn in _draws(len(first.counts), resamples, seed)
    ]
    return _percentiles(first.figure() - second.figure(), differences)


def wilson(successes: int, rows: int) -> Interval:
    """The score interval of a share (Wilson 1927), which holds for few rows and for shares near 0 and 1, too."""
    from scipy.stats import binomtest

    found = binomtest(successes, rows).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / rows, float(found.low), float(found.high))


def mcnemar(
    first: Sequence[bool], second: Sequence[bool], alternative: Literal["two-sided", "greater"] = "two-sided"
) -> McNemar:
    """McNemar's exact test (binomial) of two systems that are right or wrong on the same rows.

    Only rows on which one is right and the other wrong count; if neither is better, each such row is a fair coin (exact
    form of McNemar 1947). "greater" asks one-sided whether the first is better.
    """
    from scipy.stats import binomtest

    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    discordant = only_first + only_second
    p = float(binomtest(only_first, discordant, 0.5, alternative=alternative).pvalue) if discordant else 1.0
    return McNemar(only_first, only_second, p)


def _draws(rows: int, resamples: int, seed: int) -> Iterator[Counts]:
    """How often each row is drawn in each resample, [some, rows] at a time; the same for equal arguments."""
    import numpy as np

    generator = np.random.default_rng(seed)
    at_once = max(1, _CELLS // rows)
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = generator.integers(0, rows, size=(count, rows))
        cells = drawn + np.arange(count)[:, None] * rows
        yield np.bincount(cells.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def _percentiles(value: float, figures: Sequence[Counts]) -> Interval:
    import numpy as np

    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.concatenate(figures), [tail, 100 - tail])
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError("[intervals] the figure is not finite on a resample of the rows")
    return Interval(value, float(low), float(high))
