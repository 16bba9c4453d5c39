"""Two-sample tests, the stability index and intervals, against hand-made and published numbers."""

from __future__ import annotations

import math

import numpy
import pytest
from luthier.drift.statistics import (
    compare_counts,
    compare_values,
    difference_of_shares,
    holm,
    stability_index,
)
from luthier.evaluation.intervals import wilson


def test_the_stability_index_is_its_formula() -> None:
    psi, _ = stability_index([600, 400], [300, 700])
    p, q = 600.5 / 1001, 300.5 / 1001
    assert psi == pytest.approx((q - p) * math.log(q / p) + (p - q) * math.log((1 - q) / (1 - p)))
    assert stability_index([10, 30], [100, 300])[0] < 0.001


def test_the_index_by_chance_is_its_mean_over_samples_without_a_shift() -> None:
    chance = numpy.random.default_rng(0)
    found = [compare_values(chance.normal(size=400), chance.normal(size=100)) for _ in range(200)]
    mean = sum(comparison.psi for comparison in found) / len(found)
    assert mean == pytest.approx(found[0].psi_by_chance, rel=0.15)
    assert sum(comparison.psi_beyond_chance > 0.1 for comparison in found) < 20


@pytest.mark.parametrize("kind", ["values", "counts"])
def test_the_tests_keep_their_level_and_find_a_shift(kind: str) -> None:
    chance = numpy.random.default_rng(1)

    def p_value(shift: float) -> float:
        if kind == "values":
            return compare_values(chance.normal(size=300), chance.normal(size=200) + shift).p
        weights = numpy.array([0.4, 0.3, 0.2, 0.1])
        old = dict(zip("abcd", map(int, chance.multinomial(300, weights))))
        moved = weights + numpy.array([-shift, 0, 0, shift]) / 4
        return compare_counts(old, dict(zip("abcd", map(int, chance.multinomial(200, moved))))).p

    assert sum(p_value(0.0) < 0.05 for _ in range(200)) <= 20
    assert sum(p_value(0.8) < 0.05 for _ in range(20)) >= 18


def test_samples_of_one_value_are_compared() -> None:
    same = compare_values([7] * 50, [7] * 40)
    assert same.p == pytest.approx(1) and same.psi < 0.01
    for other in (6, 8):
        moved = compare_values([7] * 50, [other] * 40)
        assert moved.p < 0.001 and moved.psi > 1


def test_rare_categories_are_taken_together() -> None:
    old = {"a": 500, **{f"rare {i}": 1 for i in range(20)}}
    new = {"a": 480, **{f"other {i}": 1 for i in range(20)}}
    assert compare_counts(old, new).p > 0.5
    assert compare_counts({"a": 3}, {"b": 2}).p == 1
    assert compare_counts(old, {"b": 500}).p < 1e-9


def test_p_values_are_corrected_as_holm_says() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_intervals_are_the_published_ones() -> None:
    share = wilson(81, 263)
    assert (share.low, share.high) == pytest.approx(
        (0.2553, 0.3662), abs=5e-5
    )  # Newcombe 1998, "Two-sided intervals", table I
    assert difference_of_shares(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference_of_shares(0, 10, 0, 20) == pytest.approx((0, -0.1611, 0.2775), abs=5e-5)
