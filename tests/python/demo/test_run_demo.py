"""The demos from end to end on a tiny model: what is fitted, judged, written and printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from luthier.demo import RECIPES, Recipe, run_demo
from luthier.demo.functions import function_splits
from luthier.demo.library import walk_modules
from luthier.demo.sort import sort_splits
from luthier.demo.split import Splits
from luthier.errors import InputError
from luthier.models import load
from tiny_model import TinyShape, make_tiny_model

QUICK = Recipe(
    train_rows=8,
    test_rows=4,
    epochs=1.0,
    batch_size=4,
    learning_rate=1e-3,
    rank=2,
    alpha=4.0,
    max_length=700,
    max_new_tokens=8,
    dtype="float32",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base") / "model", TinyShape(max_positions=4096))


def short(splits: Splits) -> Splits:
    """Rows of few tokens, since the tiny tokenizer makes one of nearly every byte."""
    rows = sorted(splits.train, key=lambda row: len(json.dumps(row)))[:40]
    for row in rows:
        row["messages"][0]["content"] = "Answer."
    return Splits(rows[:20], rows[20:24], rows[24:40])


def test_the_main_demo(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = short(function_splits(walk_modules()))
    result = run_demo("functions", tmp_path, model=str(base), recipe=QUICK, splits=splits)
    place = tmp_path / "functions"
    assert [len((place / f"{name}.jsonl").read_text().splitlines()) for name in ("train", "valid", "test")] == [8, 4, 4]
    assert (place / "run" / "adapter" / "adapter_model.safetensors").is_file()
    for folder in ("untuned", "run"):
        assert json.loads((place / folder / "evaluation.json").read_text())["n"] == 4
    assert result.untuned.json_figures is not None
    assert result.tuned.json_figures is not None
    assert result.untuned.n == result.tuned.n == 4
    assert "rank 2" in result.tuned.model
    assert "rank" not in result.untuned.model
    assert load(str(base), place / "run" / "adapter", dtype="float32").adapter is not None
    printed = capsys.readouterr().out
    for text in (
        "valid JSON",
        "schema kept",
        "exact match",
        "expected",
        "untuned",
        "tuned",
        f"evaluate {place / 'run'} --test",
    ):
        assert text in printed
    assert json.loads(json.dumps(result.to_json()))["tuned"]["n"] == 4

    again = run_demo("functions", tmp_path, model=str(base), recipe=QUICK, splits=splits)
    assert [p.output for p in again.tuned.predictions] == [p.output for p in result.tuned.predictions]


def test_the_second_demo_prints_the_baseline_as_it_is(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = short(sort_splits(walk_modules()))
    result = run_demo("sort", tmp_path, model=str(base), recipe=QUICK, splits=rows)
    assert result.baseline_accuracy is not None
    printed = capsys.readouterr().out
    assert f"{result.baseline_accuracy:.1%}" in printed
    assert "TF-IDF" in printed
    assert "accuracy" in printed
    assert ("bag of words" in printed) == (result.baseline_accuracy >= result.tuned.exact_match)


def test_an_unknown_demo_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no demo 'other'; there are functions, sort"):
        run_demo("other", tmp_path)  # type: ignore[arg-type]


def test_the_recipes_are_whole() -> None:
    from luthier.training.settings import compose

    for recipe in RECIPES.values():
        settings = compose({"model": "m", "out": "o", **recipe.fit_values()})
        assert settings.optimizer.learning_rate == recipe.learning_rate
        assert recipe.test_rows <= 300
        assert recipe.train_rows >= 1000
