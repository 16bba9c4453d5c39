"""The demos from end to end on a tiny model: what is written and printed, and that the commands shown do it too."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from fit_case import need_core
from luthier.cli.main import run as run_command
from luthier.demo import RECIPES, DemoResult, Recipe, run_demo
from luthier.demo.functions import function_rows
from luthier.demo.library import walk_modules
from luthier.demo.sort import sort_rows
from luthier.errors import InputError
from luthier.models import load
from tiny_model import TinyShape, make_tiny_model

STAGES = ["check", "split", "baseline", "fit", "evaluate", "verdict", "report"]
QUICK: dict[str, Any] = {"batch_size": 4, "rank": 2, "dtype": "float32"}
MOST_LINES = 58
MOST_COLUMNS = 120


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_core()
    return make_tiny_model(tmp_path_factory.mktemp("base") / "model", TinyShape(layers=2, max_positions=2048))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for the figures of the base model, and a folder to work in."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def short(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Rows of few tokens, since the tiny tokenizer makes one of nearly every byte."""
    chosen = sorted(rows, key=lambda row: len(json.dumps(row)))[:count]
    for row in chosen:
        row["messages"][0]["content"] = "Answer."
    return chosen


def commands_in(printed: str) -> list[list[str]]:
    return [shlex.split(line)[2:] for line in printed.splitlines() if line.startswith("$ luthier ")]


def answers(folder: Path) -> list[tuple[int, str]]:
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    return [(one["line"], one["output"]) for one in map(json.loads, lines)]


def test_the_main_demo_and_the_commands_that_it_shows(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(test=0.2, valid=0.1, group="module", fit=QUICK)
    rows = short(function_rows(walk_modules()), 30)
    result = run_demo("functions", "demo", model=str(base), recipe=recipe, rows=rows)
    printed = capsys.readouterr()
    place = Path("demo/functions")
    assert json.loads((place / "test.jsonl.seal.json").read_text())["openings"][0]["by"] == "baseline"
    assert [one["by"] for one in json.loads((place / "test.jsonl.seal.json").read_text())["openings"]] == [
        "baseline",
        "evaluate",
    ]
    for name in ("adapter/adapter_model.safetensors", "report.html", "check.json", "forgetting.json"):
        assert (place / "run" / name).is_file()
    modules = [{json.loads(line)["module"] for line in (place / f"{name}.jsonl").open()} for name in ("train", "test")]
    assert not modules[0] & modules[1]
    values = json.loads((place / "run" / "evaluation.json").read_text())
    assert values["verdict"] == result.verdict.outcome == "HOLD"  # a handful of test rows tells nothing
    assert values["reason_codes"][0] == "too-few-rows"
    assert load(str(base), place / "run" / "adapter", dtype="float32").adapter is not None
    assert list(result.seconds) == STAGES
    assert json.loads(json.dumps(result.to_json()))["evaluation"]["n"] == result.tuned.n

    typed = commands_in(printed.out)
    assert [arguments[0] for arguments in typed] == STAGES
    for text in ("valid JSON", "tuned minus it", "HOLD", "too few to tell anything", "In short", "report.html"):
        assert text in printed.out
    other = tmp_path / "other"
    other.mkdir()
    for name in ("rows.jsonl", "schema.json"):
        shutil.copy(place / name, other / name)
    monkeypatch.chdir(other)
    assert [run_command(arguments) for arguments in typed] == [0, 0, 0, 0, 3, 3, 0]
    assert answers(other / "run") == answers(tmp_path / place / "run")
    again = json.loads((other / "run" / "evaluation.json").read_text())
    assert again["reason_codes"] == values["reason_codes"]
    assert again["answers"] == values["answers"]


def test_a_demo_fits_on_two_screens_and_twice_into_the_same_folder(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(test=0.2, valid=0.1, rows=40, fit=QUICK)

    def once() -> DemoResult:
        return run_demo("sort", "demo", model=str(base), recipe=recipe, rows=short(sort_rows(walk_modules()), 40))

    first = once()
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) <= MOST_LINES
    assert max(len(line) for line in lines if not line.startswith("$ ") and "PATH" not in line) <= MOST_COLUMNS
    assert len(printed.err.splitlines()) <= 12, "plain progress is short"
    assert "TF-IDF + logistic regression" in printed.out
    assert once().tuned.to_json()["exact_match"] == first.tuned.to_json()["exact_match"]
    openings = json.loads(Path("demo/sort/test.jsonl.seal.json").read_text())["openings"]
    assert len(openings) == 4, "both demos looked at the same sealed rows"


def test_an_unknown_demo_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"no demo 'other'; there are functions, sort"):
        run_demo("other")  # type: ignore[arg-type]
    assert run_command(["demo", "other"]) == 2


def test_the_recipes_are_whole() -> None:
    from luthier.training.settings import compose

    for recipe in RECIPES.values():
        compose({"model": "m", "out": "o", **recipe.fit})
        assert recipe.test + recipe.valid < 0.5
