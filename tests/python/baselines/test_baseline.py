"""Every baseline on a tiny model, from files to the files of the result."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from baseline_rows import questions, write_rows
from luthier.baselines import Baselines, baseline
from luthier.baselines.files import read_baselines
from luthier.errors import InputError, LuthierError
from luthier.evaluation import evaluate
from luthier.models import Model, load
from tiny_model import TinyShape, make_tiny_model

NAMES = [
    "most frequent answer",
    "TF-IDF + logistic regression",
    "nearest training row",
    "untuned, prompt alone",
    "untuned, 2 similar examples",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("base") / "model"
    return load(make_tiny_model(folder, TinyShape(layers=2, max_positions=200)), dtype="float32")


def test_all_baselines_and_their_files(model: Model, train: Path, test: Path, tmp_path: Path) -> None:
    tuned = evaluate(model, test, calibration_rows=0)
    hosted = tmp_path / "hosted.jsonl"
    hosted.write_text("".join(json.dumps({"output": answer}) + "\n" for _, answer in questions(12, 100)))
    heard: list[str] = []
    found = baseline(
        train,
        test=test,
        model=model,
        k=2,
        predictions={"hosted": hosted},
        tuned=tuned,
        out=tmp_path / "out",
        on_start=heard.append,
    )
    assert [result.name for result in found.results] == heard == [*NAMES, "hosted"]
    assert all(result.evaluation.n == 12 and result.evaluation.task == "classify" for result in found.results)
    by_kind = {result.kind: result for result in found.results}
    assert by_kind["constant"].evaluation.exact_match == 0.5
    assert by_kind["classifier"].evaluation.exact_match == 1.0
    assert by_kind["predictions"].evaluation.exact_match == 1.0
    assert by_kind["predictions"].milliseconds_per_request is None
    assert by_kind["classifier"].prompt_tokens_per_request == 0.0
    # The same model with the same prompt is what the tuned one is here.
    prompt = by_kind["prompt"].evaluation
    assert [one.output for one in prompt.predictions] == [one.output for one in tuned.predictions]
    assert found.comparisons[3].primary.difference == 0.0
    assert found.comparisons[1].primary.difference == tuned.exact_match - 1.0
    few, plain = by_kind["few_shot"].prompt_tokens_per_request, by_kind["prompt"].prompt_tokens_per_request
    assert few is not None and plain is not None and few > plain
    assert found.prompt_tokens_saved_per_million_requests == round((few - plain) * 1e6)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "baseline_predictions.jsonl",
        "baselines.json",
    ]
    values = json.loads((tmp_path / "out" / "baselines.json").read_text())
    assert values == found.to_json()
    again = read_baselines(tmp_path / "out")
    assert again.results == found.results
    assert again.belongs_to(tuned)
    assert not again.belongs_to(prompt)
    assert again.to_json() == values


def test_the_table_has_a_line_for_each_and_fits_a_terminal(train: Path, test: Path) -> None:
    from rich.console import Console

    found = baseline(train, test=test)
    console = Console(record=True, width=80, file=StringIO())
    console.print(found)
    text = console.export_text()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "TF-IDF + logistic regression   100.0 [75.8, 100.0]" in text
    assert "12 held-out rows" in text
    assert "most frequent answer" in found._repr_html_()
    assert "nearest training row" in repr(found)


def test_without_a_model_those_that_need_none_are_run(train: Path, test: Path) -> None:
    found = baseline(train, test=test, limit=4)
    assert [result.name for result in found.results] == NAMES[:3]
    assert found.n == 4
    assert found.comparisons == []
    assert found.prompt_tokens_saved_per_million_requests is None


def test_examples_that_do_not_fit_are_left_out_and_said(model: Model, train: Path, test: Path) -> None:
    found = baseline(train, test=test, model=model, k=30, limit=3)
    few = next(result for result in found.results if result.kind == "few_shot")
    assert "3 of 3 prompts hold fewer than 30 examples" in few.notes[0]
    assert few.prompt_tokens_per_request is not None
    assert few.prompt_tokens_per_request + few.evaluation.max_new_tokens <= 200
    short = baseline(train, test=test, model=model, k=30, limit=3, max_length=90)
    fewer = next(result for result in short.results if result.kind == "few_shot")
    assert fewer.prompt_tokens_per_request is not None
    assert fewer.prompt_tokens_per_request < few.prompt_tokens_per_request


def test_a_few_test_rows_are_judged_as_what_the_training_rows_show(train: Path, test: Path) -> None:
    assert baseline(train, test=test, limit=2).results[0].evaluation.task == "classify"
    assert baseline(train, test=test, limit=2, task="write").results[0].evaluation.task == "write"


def test_a_baseline_that_cannot_learn_is_skipped_with_its_reason(test: Path, tmp_path: Path) -> None:
    train = write_rows(tmp_path / "one.jsonl", [("?", "files"), ("!", "files")])
    found = baseline(train, test=test)
    assert [result.kind for result in found.results] == ["constant"]
    assert {one.name for one in found.skipped} == {"TF-IDF + logistic regression", "nearest training row"}
    assert "two distinct answers" in found.skipped[0].reason
    assert Baselines.from_json(json.loads(json.dumps(found.to_json()))).skipped == found.skipped


def test_what_does_not_fit_together_is_an_error_before_anything_is_run(
    model: Model, train: Path, test: Path, tmp_path: Path
) -> None:
    heard: list[str] = []
    other = evaluate(model, test, limit=3, calibration_rows=0)
    with pytest.raises(InputError, match=r"is of 3 rows of .*, which are not the 12 test rows"):
        baseline(train, test=test, tuned=other, on_start=heard.append)
    answers = tmp_path / "p.jsonl"
    answers.write_text('{"output": "x"}\n' * 12)
    with pytest.raises(InputError, match="give the predictions another name"):
        baseline(train, test=test, predictions={NAMES[0]: answers}, on_start=heard.append)
    with pytest.raises(InputError, match="k is 0"):
        baseline(train, test=test, k=0, on_start=heard.append)
    with pytest.raises(LuthierError, match="cannot write to"):
        baseline(train, test=test, out=train / "below", on_start=heard.append)
    assert heard == []


def test_damaged_baselines_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="baselines.json: cannot be read"):
        read_baselines(tmp_path)
    (tmp_path / "baselines.json").write_text("{}")
    (tmp_path / "baseline_predictions.jsonl").write_text("")
    with pytest.raises(InputError, match="baselines.json: not the baselines of this version"):
        read_baselines(tmp_path)
