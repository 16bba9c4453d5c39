"""Intervals and tests against truth that was planted, scikit-learn, and figures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.evaluation.intervals import RowCounts, bootstrap, mcnemar, paired_bootstrap, wilson
from luthier.evaluation.metrics import compared_metrics
from luthier.evaluation.result import Prediction


def mean_of(values: object) -> RowCounts:
    counts = np.stack([np.asarray(values, dtype=float), np.ones(len(np.asarray(values)))], axis=1)
    return RowCounts("mean", counts, lambda sums: sums[..., 0] / sums[..., 1])


def predictions(expected: list[str], outputs: list[str]) -> list[Prediction]:
    return [Prediction("t", index, a, b, a == b, float(a == b)) for index, (a, b) in enumerate(zip(expected, outputs))]


scores = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(scores)
def test_an_interval_holds_its_figure_within_the_range_of_the_rows(values: list[float]) -> None:
    found = bootstrap(mean_of(values), resamples=200)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found.value == pytest.approx(sum(values) / len(values))


@given(scores)
def test_a_system_does_not_differ_from_itself(values: list[float]) -> None:
    found = paired_bootstrap(mean_of(values), mean_of(values), resamples=200)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_to_swap_the_systems_is_to_change_the_sign(pairs: list[tuple[bool, bool]]) -> None:
    first, second = mean_of([a for a, _ in pairs]), mean_of([b for _, b in pairs])
    there, back = paired_bootstrap(first, second, resamples=300), paired_bootstrap(second, first, resamples=300)
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))
    one, other = mcnemar([a for a, _ in pairs], [b for _, b in pairs]), mcnemar(*zip(*[(b, a) for a, b in pairs]))
    assert one.p == pytest.approx(other.p)
    assert (one.only_first, one.only_second) == (other.only_second, other.only_first)


def test_the_same_rows_give_the_same_interval_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random(50)
    whole = bootstrap(mean_of(values))
    monkeypatch.setattr("luthier.evaluation.intervals._CELLS", 50 * 7)
    assert bootstrap(mean_of(values)) == whole


def test_pairs_narrow_the_interval_of_a_difference() -> None:
    generator = np.random.default_rng(2)
    hard = generator.random(200)
    better, worse = mean_of(hard + 0.02), mean_of(hard)
    paired = paired_bootstrap(better, worse)
    assert paired.low == pytest.approx(0.02) and paired.high == pytest.approx(0.02)
    alone = bootstrap(better)
    assert alone.high - alone.low > 0.05


def test_the_interval_covers_a_planted_difference_19_times_of_20() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    trials = 400
    for _ in range(trials):
        # The first is right with 0.8; the second follows it on 7 rows of 10 and is right with 0.5 on the others.
        first = generator.random(200) < 0.8
        second = np.where(generator.random(200) < 0.7, first, generator.random(200) < 0.5)
        found = paired_bootstrap(mean_of(first), mean_of(second), resamples=500)
        covered += found.low <= 0.8 - (0.7 * 0.8 + 0.3 * 0.5) <= found.high
    # 95 % of 400 is 380 with a standard deviation of 4.4; the percentile interval is a little narrow at 200 rows.
    assert 362 <= covered <= 396


def test_mcnemar_finds_chance_where_there_is_no_difference() -> None:
    generator = np.random.default_rng(4)
    rejected = 0
    for _ in range(300):
        found = mcnemar((generator.random(150) < 0.6).tolist(), (generator.random(150) < 0.6).tolist())
        rejected += found.p < 0.05
    assert rejected <= 0.05 * 300 + 3 * (300 * 0.05 * 0.95) ** 0.5


def test_mcnemar_by_hand() -> None:
    first = [True] * 8 + [False] * 2 + [True] * 5
    second = [False] * 8 + [True] * 2 + [True] * 5
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (8, 2)
    # Two-sided: twice the chance of 0, 1 or 2 heads in 10 throws.
    assert found.p == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert mcnemar(first, second, "greater").p == pytest.approx((1 + 10 + 45) / 1024)
    assert mcnemar([True, False], [True, False]).p == 1.0


def test_wilson_by_hand() -> None:
    # Brown, Cai and DasGupta's formula with z = 1.959964 for 8 of 10.
    z = 1.959963984540054
    centre = (8 + z * z / 2) / (10 + z * z)
    half = z / (10 + z * z) * (8 * 2 / 10 + z * z / 4) ** 0.5
    found = wilson(8, 10)
    assert (found.value, found.low, found.high) == (0.8, pytest.approx(centre - half), pytest.approx(centre + half))
    assert wilson(10, 10).high == pytest.approx(1.0) and wilson(10, 10).low < 0.75


def test_rows_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows beside 3"):
        paired_bootstrap(mean_of([1, 0]), mean_of([1, 0, 1]))


labels = st.sampled_from(["a", "b", "c", "other"])


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), labels), min_size=1, max_size=40))
def test_macro_f1_from_counts_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import f1_score

    expected, outputs = [a for a, _ in pairs], [b for _, b in pairs]
    metrics = {one.name: one for one in compared_metrics("classify", predictions(expected, outputs))}
    wanted = f1_score(expected, outputs, labels=sorted(set(expected)), average="macro", zero_division=0)
    assert metrics["macro_f1"].figure() == pytest.approx(wanted)
    assert metrics["accuracy"].figure() == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))


def test_macro_f1_is_resampled_by_rows() -> None:
    generator = np.random.default_rng(5)
    expected = generator.choice(["a", "b", "c"], 300, p=[0.8, 0.15, 0.05]).tolist()
    outputs = [label if generator.random() < 0.9 else "a" for label in expected]
    metric = compared_metrics("classify", predictions(expected, outputs))[1]
    found = bootstrap(metric)
    assert found.low < found.value < found.high
    # One resample drawn here by hand must give what the product of counts gives.
    drawn = generator.integers(0, 300, 300)
    again = compared_metrics("classify", predictions([expected[i] for i in drawn], [outputs[i] for i in drawn]))[1]
    times = np.bincount(drawn, minlength=300).astype(float)
    assert float(metric.value(times @ metric.counts)) == pytest.approx(again.figure())
