"""Two-sample tests and the population stability index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.evaluation.intervals import wilson

BINS = 10
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Comparison:
    """One comparison of new rows with the reference.

    `psi` is the population stability index, `psi_by_chance` what it is on average when nothing changed, `p` that of the
    two-sample test named in `test`.
    """

    test: str
    psi: float
    psi_by_chance: float
    p: float

    @property
    def psi_beyond_chance(self) -> float:
        """What of the index chance does not explain; small samples have a large index by chance alone."""
        return max(0.0, self.psi - self.psi_by_chance)


def compare_values(reference: Any, new: Any) -> Comparison:
    """Compares two samples of numbers: PSI over the deciles of the reference, and the Kolmogorov-Smirnov test."""
    import numpy
    from scipy.stats import ks_2samp

    old, now = numpy.asarray(reference, dtype=float), numpy.asarray(new, dtype=float)
    edges = numpy.unique(numpy.quantile(old, numpy.arange(1, BINS) / BINS))
    if len(edges) == 1:  # nearly all values are one: below, at and above it
        edges = numpy.array([numpy.nextafter(edges[0], -numpy.inf), edges[0]])
    counts = [numpy.bincount(numpy.searchsorted(edges, sample), minlength=len(edges) + 1) for sample in (old, now)]
    psi, chance = stability_index(counts[0], counts[1])
    return Comparison("Kolmogorov-Smirnov", psi, chance, float(ks_2samp(old, now, method="asymp").pvalue))


def compare_counts(reference: Mapping[str, int], new: Mapping[str, int]) -> Comparison:
    """Compares two samples of categories: PSI over the categories, and the chi-square test.

    Categories of which fewer than 5 are expected are taken together (Cochran 1954).
    """
    import numpy
    from scipy.stats import chi2_contingency

    names = sorted({*reference, *new})
    table = numpy.array([[sample.get(name, 0) for name in names] for sample in (reference, new)], dtype=float)
    expected = table.sum(axis=0) * (table.sum(axis=1).min() / table.sum())
    rare = expected < _LEAST_EXPECTED
    if rare.any():
        table = numpy.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    psi, chance = stability_index(table[0], table[1])
    if table.shape[1] < 2:
        return Comparison("chi-square", psi, chance, 1.0)
    return Comparison("chi-square", psi, chance, float(chi2_contingency(table, correction=False).pvalue))


def stability_index(reference: Any, new: Any) -> tuple[float, float]:
    """The population stability index of two arrays of counts over the same bins, and its mean when nothing changed.

    PSI = sum (q - p) ln(q / p), with half a count added to each bin so that none is empty. Without a change it is
    distributed as (1/N + 1/M) times chi-square with B - 1 degrees of freedom (Yurdakul 2018, "Statistical properties of
    the population stability index"), whose mean is that factor times B - 1.
    """
    import numpy

    old, now = (numpy.asarray(counts, dtype=float) + 0.5 for counts in (reference, new))
    p, q = old / old.sum(), now / now.sum()
    used = (numpy.asarray(reference) + numpy.asarray(new)) > 0
    chance = (int(used.sum()) - 1) * (
        1.0 / max(float(numpy.sum(reference)), 1.0) + 1.0 / max(float(numpy.sum(new)), 1.0)
    )
    return float(((q - p) * numpy.log(q / p)).sum()), max(0.0, chance)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in their order (Holm 1979): the chance of any false alarm is kept."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = largest
    return corrected


def difference_of_shares(right: int, count: int, other_right: int, other_count: int) -> tuple[float, float, float]:
    """The first share less the second, and the 95 % interval of that (Newcombe 1998, method 10)."""
    first, second = wilson(right, count), wilson(other_right, other_count)
    difference = first.value - second.value
    below = ((first.value - first.low) ** 2 + (second.high - second.value) ** 2) ** 0.5
    above = ((first.high - first.value) ** 2 + (second.value - second.low) ** 2) ** 0.5
    return difference, difference - below, difference + above
