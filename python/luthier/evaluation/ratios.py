"""Precision, recall and F1 from counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Overlap:
    """What was predicted rightly, what was predicted wrongly (`extra`), and what was missed."""

    right: int = 0
    extra: int = 0
    missed: int = 0

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.right + other.right, self.extra + other.extra, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """2 right / (2 right + extra + missed); 1 where there was nothing to find and nothing was predicted."""
        return _share(2 * self.right, 2 * self.right + self.extra + self.missed)

    def ratios(self) -> Ratios:
        """The three figures; one with nothing to divide by is 1, as nothing was wrong."""
        return Ratios(
            precision=_share(self.right, self.right + self.extra),
            recall=_share(self.right, self.right + self.missed),
            f1=self.f1,
            support=self.right + self.missed,
        )


@dataclass(frozen=True)
class Ratios:
    """Precision, recall and F1; `support` counts what there was to find."""

    precision: float
    recall: float
    f1: float
    support: int

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Ratios:
        """From its own keys among `values`."""
        return Ratios(values["precision"], values["recall"], values["f1"], values["support"])


def total(overlaps: Iterable[Overlap]) -> Overlap:
    """The sum, for micro averages."""
    return sum(overlaps, Overlap())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
