"""What each demo fits and how. Chosen by measurement on the validation rows, never on the test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["functions", "sort"]

MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Recipe:
    """The rows of a demo, how they are split, and what its fit is told beyond the defaults.

    `rows` is the most that are used (None: all), `test` and `valid` are shares of them, `group` is a key whose equal
    values stay on one side; `fit` are settings of `luthier fit` under their flat names.
    """

    test: float
    valid: float
    rows: int | None = None
    group: str | None = None
    fit: Mapping[str, Any] = field(default_factory=dict)


RECIPES: dict[Kind, Recipe] = {
    "functions": Recipe(test=0.08, valid=0.05, group="module", fit={"batch_size": 8, "learning_rate": 5e-4}),
    "sort": Recipe(rows=1300, test=0.15, valid=0.05, fit={"learning_rate": 1e-3}),
}
