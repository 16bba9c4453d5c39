"""The spread between runs that differ in the seed alone."""

from __future__ import annotations

import json

import pytest
from luthier.evaluation import SeedFigures

FOUND = SeedFigures("accuracy", {3: 0.90, 4: 0.94, 5: 0.86}, (6,))


def test_mean_and_deviation_are_those_of_a_sample() -> None:
    assert FOUND.mean == pytest.approx(0.90)
    assert FOUND.deviation == pytest.approx(0.04)  # sqrt((0 + 0.0016 + 0.0016) / 2)
    assert SeedFigures("accuracy", {0: 0.5}).deviation is None


def test_it_is_kept_in_evaluation_json() -> None:
    values = json.loads(json.dumps({"n": 7} | FOUND.to_json()))
    assert SeedFigures.from_json(values) == FOUND
    assert [one["seed"] for one in values["seeds"]["runs"]] == [3, 4, 5]
    assert SeedFigures.from_json({"n": 7}) is None


def test_the_table_shows_the_spread_and_what_is_missing() -> None:
    assert dict(FOUND.figures()) == {
        "over 3 seeds": "86.0% to 94.0% (mean 90.0%, standard deviation 4.0 points)",
        "seeds not fitted yet": "6",
    }
    assert list(SeedFigures("accuracy", {0: 0.5}).figures()) == []
