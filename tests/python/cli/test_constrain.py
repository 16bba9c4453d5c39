"""`--constrain` at the command line: generate, baseline, and evaluate with its verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fit_case import FitCase
from luthier.cli.main import run
from luthier.report import write_report
from tiny_model import chat


def write_rows(path: Path, count: int, first: int = 0) -> Path:
    """Questions that hold their answer, which is one of two."""
    rows = [
        chat(f"{('open', 'send')[i % 2]} the {('folder', 'letter')[i % 2]} {i}", ("files", "mail")[i % 2])
        for i in range(first, first + count)
    ]
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def fitted(case: FitCase) -> FitCase:
    write_rows(case.train, 16)
    case.fit(epochs=1, valid=None)
    write_rows(case.folder / "test.jsonl", 6, first=90)
    return case


def outputs(path: Path) -> set[str]:
    return {json.loads(line)["output"] for line in path.read_text(encoding="utf-8").splitlines()}


def test_a_run_is_judged_by_its_constrained_answers_with_free_ones_beside(
    fitted: FitCase, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, test = fitted.folder / "run", fitted.folder / "test.jsonl"
    flags = ["--test", str(test), "--k", "1", "--constrain", "labels", "--no-forgetting"]
    run(["evaluate", str(folder), *flags, "--json"])
    values = json.loads(capsys.readouterr().out)
    assert values["constraint"] == {"kind": "labels", "labels": ["files", "mail"]}
    assert outputs(folder / "predictions.jsonl") <= {"files", "mail"}
    assert values["free"]["n"] == 6
    names = [one["name"] for one in values["baselines"]["baselines"]]
    assert names[0] == "tuned"
    assert "untuned, prompt alone, constrained to labels" in names
    assert "untuned, 1 similar example, constrained to labels" in names
    assert any("judged by answers constrained to labels" in remark for remark in values["remarks"])
    page = write_report(folder).path.read_text(encoding="utf-8")
    for words in ("tuned, constrained to labels", "untuned, prompt alone, constrained to labels"):
        assert words in page

    run(["evaluate", str(folder), *flags])
    shown = " ".join(capsys.readouterr().out.split())
    assert "answers constrained to" in shown and "exact match, free answers" in shown


def test_rows_are_answered_with_nothing_but_labels(fitted: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    out = fitted.folder / "out.jsonl"
    flags = ["--in", str(fitted.folder / "test.jsonl"), "--out", str(out), "--constrain", "labels"]
    assert run(["generate", str(fitted.folder / "run"), *flags]) == 0
    assert outputs(out) <= {"files", "mail"}
    labels = fitted.folder / "labels.txt"
    labels.write_text("read\nwrite\n")
    bare = ["generate", "--model", str(fitted.model), "--dtype", "float32", *flags]
    assert run([*bare, "--labels", str(labels)]) == 0
    assert outputs(out) <= {"read", "write"}
    assert run(bare) == 2
    assert "give --labels FILE" in capsys.readouterr().err
    write_rows(fitted.train, 3)
    assert run(["generate", str(fitted.folder / "run"), *flags]) == 2
    assert "is gone or has changed; give --labels FILE" in capsys.readouterr().err


def test_json_has_the_keys_of_the_training_rows_answers(case: FitCase) -> None:
    pytest.importorskip("llguidance")
    rows = [chat(f"order {i}", json.dumps({"paid": i % 2 == 0, "kind": None})) for i in range(8)]
    case.train.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows), encoding="utf-8")
    case.fit(epochs=1, valid=None)
    out = case.folder / "out.jsonl"
    flags = ["--in", str(case.valid), "--out", str(out), "--constrain", "schema", "--max-new-tokens", "150"]
    assert run(["generate", str(case.folder / "run"), *flags]) == 0
    for answer in outputs(out):
        assert list(json.loads(answer)) == ["paid", "kind"]


def test_rows_are_answered_with_json_of_a_schema(case: FitCase) -> None:
    pytest.importorskip("llguidance")
    schema, out = case.folder / "schema.json", case.folder / "out.jsonl"
    schema.write_text('{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}')
    flags = ["--model", str(case.model), "--dtype", "float32", "--in", str(case.valid), "--out", str(out)]
    flags += ["--constrain", "schema", "--schema", str(schema), "--max-new-tokens", "150"]
    assert run(["generate", *flags]) == 0
    for answer in outputs(out):
        assert json.loads(answer)["ok"] in (True, False)
    assert run(["generate", *flags[:-6], "--schema", str(schema)]) == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--constrain", "words"], "--constrain words: answers can be constrained to labels or schema"),
        (["--labels", "x.txt"], "--labels goes with --constrain labels"),
        (["--constrain", "schema", "--labels", "x.txt"], "--labels goes with --constrain labels"),
        (["--constrain", "labels", "--labels", "none.txt"], "none.txt: the labels cannot be read"),
        (["--constrain", "schema"], "are no JSON objects or arrays; give --schema FILE"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    case: FitCase, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    model = ["--model", str(case.model), "--dtype", "float32"]
    assert run(["baseline", str(case.train), "--test", str(case.valid), *model, *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1


def test_baselines_without_a_model_have_nothing_to_constrain(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["baseline", str(case.train), "--test", str(case.valid), "--constrain", "labels"]) == 2
    assert "--constrain is for the answers of a model; give --model MODEL" in capsys.readouterr().err
