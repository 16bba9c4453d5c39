"""`luthier evaluate` with its verdict, `luthier verdict`, `luthier errors` and `luthier report` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fit_case import FitCase, write_rows
from luthier.cli.main import run
from run_folder import MadeRun, clean_check, forgetting, make_run, question

TRUTH = [question(index)[1] for index in range(1000, 1060)]


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    """An evaluated run with everything that a verdict needs but the baselines that ask a model."""
    found = make_run(tmp_path)
    found.baselines(found.evaluate(TRUTH))
    found.write("check.json", clean_check(found))
    found.write("forgetting.json", forgetting())
    return found


def test_evaluate_gives_a_verdict_and_its_exit_status(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    case.fit(epochs=1)
    folder, test = case.folder / "run", write_rows(case.folder / "test.jsonl", 6, first=90)
    command = ["evaluate", str(folder), "--test", str(test), "--k", "1", "--no-forgetting"]
    assert run([*command, "--threshold", "class-f1=0.4", "--json"]) == 3
    values = json.loads(capsys.readouterr().out)
    assert values["verdict"] == "HOLD"
    assert "6 test rows are too few to tell anything; hold out 50 rows or more" in " ".join(values["reasons"])
    assert values["thresholds"]["class_f1"] == 0.4
    kept = json.loads((folder / "evaluation.json").read_text())
    assert kept == {key: value for key, value in values.items() if key != "baselines"}
    check = json.loads((folder / "check.json").read_text())
    assert {one["code"]: one["severity"] for one in check["findings"]}["leakage"] == "fine"

    assert run(command) == 3
    assert "HOLD  Do not use it yet." in capsys.readouterr().out
    assert run(["evaluate", str(folder), "--test", str(test), "--no-baselines"]) == 0
    assert "HOLD" not in capsys.readouterr().out
    assert "verdict" not in json.loads((folder / "evaluation.json").read_text())


def test_leaked_rows_are_found_when_a_run_is_evaluated(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    case.fit(epochs=1)
    folder, test = case.folder / "run", write_rows(case.folder / "test.jsonl", 6, first=10)
    out = case.folder / "out"
    flags = ["--k", "1", "--no-forgetting", "--out", str(out), "--json"]
    assert run(["evaluate", str(folder), "--test", str(test), *flags]) == 3
    values = json.loads(capsys.readouterr().out)
    assert values["reason_codes"][0] == "leakage"
    assert "3 of 6 test rows stand in the training rows too" in values["reasons"][0]
    assert not (folder / "evaluation.json").exists()
    assert run(["verdict", str(folder), "--results", str(out)]) == 3
    assert run(["errors", str(folder), "--results", str(out)]) == 0
    assert run(["report", str(folder), "--results", str(out), "--out", str(out / "page.html")]) == 0
    assert "3 of 6 test rows" in (out / "page.html").read_text()


def test_a_wrong_threshold_is_refused_before_any_work(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    case.fit(epochs=1)
    command = ["evaluate", str(case.folder / "run"), "--test", str(case.valid), "--threshold", "recall=1"]
    assert run(command) == 2
    assert "the names are smallest-rows, noise" in capsys.readouterr().err
    assert not (case.folder / "run" / "evaluation.json").exists()


def test_verdict_prints_the_thresholds_and_keeps_those_that_are_given(
    made: MadeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    # Prompting was not tried: no SHIP. The nearest row is as good: the answers are all right, so it is RETHINK.
    status = run(["verdict", str(made.folder)])
    printed = capsys.readouterr().out
    assert status in (3, 4)
    assert "Thresholds:" in printed and "class-recall" in printed
    assert "verdict" not in json.loads((made.folder / "evaluation.json").read_text())
    assert run(["verdict", str(made.folder), "--threshold", "smallest-rows=500", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["reason_codes"][0] == "too-few-rows"
    assert json.loads((made.folder / "evaluation.json").read_text())["thresholds"]["smallest_rows"] == 500


def test_errors_lists_rows_with_their_places(made: MadeRun, capsys: pytest.CaptureFixture[str]) -> None:
    made.evaluate(["files", *TRUTH[1:]] if TRUTH[0] != "files" else ["mail", *TRUTH[1:]])
    assert run(["errors", str(made.folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 of 60 rows" in printed and f"{made.test}:1" in printed
    assert "nearest" in printed and "train.jsonl:" in printed
    assert run(["errors", str(made.folder), "--json", "--limit", "1"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["n"], values["wrong"], len(values["rows"])) == (60, 1, 1)
    assert values["rows"][0]["nearest"][0]["file"] == str(made.train)


def test_report_says_where_it_is(made: MadeRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(made.folder)]) == 0
    printed = capsys.readouterr().out
    assert f"wrote {made.folder / 'report.html'}" in printed
    assert f"wrote {made.folder / 'adapter' / 'README.md'}" in printed
    assert run(["report", str(made.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []


@pytest.mark.parametrize("command", ["verdict", "errors", "report"])
def test_a_folder_without_a_run_is_refused(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, str(tmp_path)]) == 2
    assert "no run here" in capsys.readouterr().err
