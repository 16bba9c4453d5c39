"""`evaluate` from a test file to its two files, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from luthier.errors import InputError, LuthierError
from luthier.evaluation import evaluate
from luthier.models import Model, load
from luthier.records import read
from tiny_model import chat, make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(make_tiny_model(tmp_path_factory.mktemp("base") / "model"), dtype="float32")


@pytest.fixture
def test_file(model: Model, tmp_path: Path) -> Path:
    """Four rows of which the first and the third have the model's own answer as their reference."""
    prompts = ["read a file", "sort the mail", "name the section", "2 + 2"]
    own = model.generate(prompts, max_new_tokens=6)
    references = [own[0], "something else", own[2], "no"]
    path = tmp_path / "test.jsonl"
    path.write_text(
        "".join(json.dumps({"messages": chat(p, r)}) + "\n" for p, r in zip(prompts, references, strict=True))
    )
    return path


def test_the_figures_and_both_files(model: Model, test_file: Path, tmp_path: Path) -> None:
    evaluation = evaluate(model, test_file, tmp_path / "out", max_new_tokens=6)
    assert evaluation.n == 4
    assert evaluation.exact_match == 0.5
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == evaluation.to_json()
    assert (written["n"], written["exact_match"], written["max_new_tokens"]) == (4, 0.5, 6)
    assert written["seconds"] > 0
    predictions = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [row["correct"] for row in predictions] == [True, False, True, False]
    assert [row["line"] for row in predictions] == [1, 2, 3, 4]
    assert {row["file"] for row in predictions} == {str(test_file)}
    assert predictions[1]["expected"] == "something else"
    assert [row["output"] for row in predictions] == model.generate(
        ["read a file", "sort the mail", "name the section", "2 + 2"], max_new_tokens=6
    )


def test_the_references_set_how_long_an_answer_may_be(model: Model, test_file: Path) -> None:
    longest = max(len(model.tokenizer.encode_text(record.reference or "")) for record in read(test_file))
    assert evaluate(model, test_file).max_new_tokens == int(longest * 1.25) + 8


def test_records_and_a_limit_are_taken_too(model: Model, test_file: Path) -> None:
    heard: list[tuple[int, int]] = []
    evaluation = evaluate(
        model, read(test_file), max_new_tokens=6, limit=2, on_progress=lambda done, total: heard.append((done, total))
    )
    assert (evaluation.n, evaluation.exact_match) == (2, 0.5)
    assert heard[-1] == (2, 2)


def test_few_distinct_answers_give_class_figures(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("text,label\na,x\nb,y\nc,x\nd,y\n")
    evaluation = evaluate(model, path, tmp_path / "out")
    assert evaluation.classification is not None
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    for key in ("accuracy", "macro_precision", "macro_recall", "macro_f1", "per_class", "confusion"):
        assert key in written
    assert set(written["per_class"]) == {"x", "y"}


def test_rows_without_a_reference_are_refused(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "read"}) + "\n")
    with pytest.raises(InputError, match=r"prompts.jsonl"):
        evaluate(model, path)
    with pytest.raises(InputError, match=r"prompts.jsonl:1: the row does not end with an assistant message"):
        evaluate(model, read(path, purpose="prompt"))
    with pytest.raises(InputError, match=r"no rows to evaluate on"):
        evaluate(model, read(path, purpose="prompt"), limit=0)


def test_a_folder_that_cannot_be_written_is_an_error(model: Model, test_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LuthierError, match=r"cannot write to"):
        evaluate(model, test_file, tmp_path / "file", max_new_tokens=2)
