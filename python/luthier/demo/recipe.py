"""What each demo fits and how. Chosen by measurement on the validation rows, never on the test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["functions", "sort"]


@dataclass(frozen=True)
class Recipe:
    """Rows and settings of a demo. `train_rows` and `test_rows` are the most that are used."""

    train_rows: int
    test_rows: int
    epochs: float
    batch_size: int
    learning_rate: float
    rank: int
    alpha: float
    max_length: int
    max_new_tokens: int
    dtype: str = "bfloat16"
    seed: int = 0

    def fit_values(self) -> dict[str, Any]:
        """The settings of `luthier fit` under their flat names."""
        names = ("epochs", "batch_size", "learning_rate", "rank", "alpha", "max_length", "dtype", "seed")
        return {name: getattr(self, name) for name in names}


MODEL = "smollm2-135m-instruct"

RECIPES: dict[Kind, Recipe] = {
    "functions": Recipe(
        train_rows=2400,
        test_rows=120,
        epochs=1.0,
        batch_size=8,
        learning_rate=1e-3,
        rank=16,
        alpha=32.0,
        max_length=512,
        max_new_tokens=160,
    ),
    "sort": Recipe(
        train_rows=4000,
        test_rows=300,
        epochs=1.0,
        batch_size=16,
        learning_rate=1e-3,
        rank=16,
        alpha=32.0,
        max_length=512,
        max_new_tokens=8,
    ),
}
