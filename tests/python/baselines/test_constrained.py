"""Baselines whose answers are constrained, beside free ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from luthier.baselines import baseline
from luthier.baselines.files import read_baselines
from luthier.baselines.show import cells
from luthier.errors import InputError
from luthier.evaluation import evaluate
from luthier.generation import Labels
from luthier.models import Model, load
from luthier.verdict.gather import free_answers, rivals
from tiny_model import TinyShape, chat, make_tiny_model

LABELS = Labels(("files", "mail"))
ASKED = ["untuned, prompt alone", "untuned, 2 similar examples"]
SIMPLE = ["most frequent answer", "TF-IDF + logistic regression", "nearest training row"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("base") / "model"
    return load(make_tiny_model(folder, TinyShape(layers=2, max_positions=300)), dtype="float32")


def both(names: list[str]) -> list[str]:
    return [one for name in names for one in (name, f"{name}, constrained to labels")]


def test_each_way_of_asking_is_shown_free_and_constrained(
    model: Model, train: Path, test: Path, tmp_path: Path
) -> None:
    tuned = evaluate(model, test, calibration_rows=0, constrain=LABELS)
    found = baseline(train, test=test, model=model, k=2, tuned=tuned, out=tmp_path / "out")
    assert [one.name for one in found.results] == ["tuned", *SIMPLE, *both(ASKED)]
    by_name = {one.name: one for one in found.results}
    prompt = by_name["untuned, prompt alone, constrained to labels"]
    assert prompt.kind == "prompt" and prompt.evaluation.constraint == LABELS
    assert {one.output for one in prompt.evaluation.predictions} <= {"files", "mail"}
    assert by_name["untuned, prompt alone"].evaluation.constraint is None
    # The tuned model is the untuned one here.
    assert [one.output for one in prompt.evaluation.predictions] == [one.output for one in tuned.predictions]
    assert found.comparison(prompt.name) is not None
    assert all(one.first == "tuned, constrained to labels" for one in found.comparisons)
    assert tuned.free is not None and by_name["tuned"].evaluation == tuned.free
    again = read_baselines(tmp_path / "out")
    assert again.results == found.results and again.belongs_to(tuned)
    assert [row[0] for row in cells(again)][1:3] == ["tuned, constrained to labels", "tuned"]


def test_the_tuned_models_free_answers_are_no_baseline(model: Model, train: Path, test: Path) -> None:
    tuned = evaluate(model, test, calibration_rows=0, constrain=LABELS)
    found = baseline(train, test=test, model=model, k=2, tuned=tuned)
    assert [one.name for one in rivals(found)] == [*SIMPLE, *both(ASKED)]
    assert [one.constraint for one in rivals(found)] == [None] * 4 + ["labels", None, "labels"]
    free = free_answers(found)
    assert free is not None and free.figure == 0.0 and free.difference.value == tuned.exact_match


def test_without_a_tuned_model_the_labels_are_those_of_the_training_rows(model: Model, train: Path, test: Path) -> None:
    found = baseline(train, test=test, model=model, k=2, limit=3, constrain="labels")
    assert [one.name for one in found.results] == [*SIMPLE, *both(ASKED)]
    assert found.results[-1].evaluation.constraint == LABELS
    assert found.free is None and found.rivals == []


def test_the_tuned_model_and_the_baselines_have_the_same_constraint(model: Model, train: Path, test: Path) -> None:
    free = evaluate(model, test, calibration_rows=0)
    with pytest.raises(
        InputError, match=r"of answers that are free, and the baselines' are to be constrained to 2 labels"
    ):
        baseline(train, test=test, model=model, tuned=free, constrain="labels")
    tuned = evaluate(model, test, calibration_rows=0, constrain=Labels(("files", "mail", "dates")))
    with pytest.raises(InputError, match=r"constrained to 3 labels, and .* constrained to 2 labels"):
        baseline(train, test=test, model=model, tuned=tuned, constrain="labels")


def test_json_that_was_cut_is_said(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    lines = [
        json.dumps({"messages": chat(f"order {i}", json.dumps({"paid": True, "name": f"n{i}"}))}) + "\n"
        for i in range(8)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    found = baseline(
        tmp_path / "rows.jsonl", test=tmp_path / "rows.jsonl", model=model, k=1, constrain="schema", max_new_tokens=5
    )
    last = found.results[-1]
    assert last.name == "untuned, 1 similar example, constrained to schema"
    assert last.notes == ["8 of 8 answers were cut at 5 tokens"]
