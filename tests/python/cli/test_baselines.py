"""`luthier baseline`, and the baselines within `luthier evaluate`, at the command line."""

from __future__ import annotations

import json

import pytest
from fit_case import FitCase, start_luthier, write_rows
from luthier.cli.main import run
from luthier.training.run import Run


@pytest.fixture
def fitted(case: FitCase) -> FitCase:
    case.fit(epochs=1)
    write_rows(case.folder / "test.jsonl", 6, first=90)
    return case


def test_a_run_is_compared_with_the_baselines_and_keeps_the_files(
    fitted: FitCase, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, test = fitted.folder / "run", fitted.folder / "test.jsonl"
    assert (
        run(
            [
                "evaluate",
                str(folder),
                "--test",
                str(test),
                "--k",
                "1",
                "--rule",
                "max_chars=9",
                "--no-forgetting",
                "--json",
            ]
        )
        == 3
    )
    printed = capsys.readouterr()
    values = json.loads(printed.out)
    assert values["n"] == 6
    assert values["rules"]["each"].keys() == {"max_chars=9"}
    assert values["answers"]["perplexity"] > 1
    found = json.loads((folder / "baselines.json").read_text())
    assert values.pop("baselines") == found
    assert json.loads((folder / "evaluation.json").read_text()) == values
    assert values.items() >= found["tuned"].items()
    assert [one["second"] for one in found["comparisons"]] == [one["name"] for one in found["baselines"]]
    assert "untuned, 1 similar example" in [one["name"] for one in found["baselines"]]
    for stage in (
        "checks of the training rows ...",
        "answers ...",
        "perplexity of the right answers ...",
        "untuned, prompt alone ...",
    ):
        assert stage in printed.err
    assert Run(folder).record["test_opened"].popitem()[1]["times"] == 1

    assert run(["evaluate", str(folder), "--test", str(test), "--limit", "2", "--k", "1", "--no-forgetting"]) == 3
    shown = capsys.readouterr().out
    assert "tuned minus it" in shown
    assert "perplexity of the right answers" in shown


def test_the_baselines_can_be_left_out_and_are_where_the_training_file_changed(
    fitted: FitCase, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, test = fitted.folder / "run", fitted.folder / "test.jsonl"
    assert run(["evaluate", str(folder), "--test", str(test), "--no-baselines", "--json"]) == 0
    assert "baselines" not in json.loads(capsys.readouterr().out)
    write_rows(fitted.train, 5)
    assert run(["evaluate", str(folder), "--test", str(test), "--json"]) == 0
    printed = capsys.readouterr()
    assert "baselines" not in json.loads(printed.out)
    assert "no baselines: the file that the run learned from is gone or has changed" in printed.err
    assert not (folder / "baselines.json").exists()
    for flags in (["--baselines"], ["--predictions", "x=y.jsonl"]):
        assert run(["evaluate", str(folder), "--test", str(test), *flags]) == 2
        assert "has changed; use: luthier baseline" in capsys.readouterr().err
    assert run(["evaluate", str(folder), "--test", str(test), "--no-baselines", "--predictions", "x=y.jsonl"]) == 2
    assert "leave out --no-baselines" in capsys.readouterr().err


def test_a_run_gives_its_baselines_in_python(fitted: FitCase) -> None:
    fit = Run(fitted.folder / "run")
    test = fitted.folder / "test.jsonl"
    tuned = fit.evaluate(test)
    found = fit.baselines(tuned, test, k=1)
    assert [one.second for one in found.comparisons] == [one.name for one in found.results]
    assert (fit.folder / "baselines.json").is_file()


def test_baselines_that_were_run_before_the_fit_are_not_run_again(
    fitted: FitCase, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, test, before = fitted.folder / "run", str(fitted.folder / "test.jsonl"), str(fitted.folder / "before")
    model = ["--model", str(fitted.model), "--dtype", "float32", "--k", "1"]
    assert run(["baseline", str(fitted.train), "--test", test, *model, "--out", before]) == 0
    evaluate = ["evaluate", str(folder), "--test", test, "--no-forgetting"]
    assert run([*evaluate, "--k", "1"]) == 3
    compared = json.loads((folder / "baselines.json").read_text())["comparisons"]
    capsys.readouterr()
    assert run([*evaluate, "--baselines-from", before, "--json"]) == 3
    printed = capsys.readouterr()
    assert "untuned, prompt alone" not in printed.err
    found = json.loads(printed.out)["baselines"]
    assert found == json.loads((folder / "baselines.json").read_text())
    assert found["comparisons"] == compared

    for flags in (["--no-baselines"], ["--predictions", "x=y.jsonl"]):
        assert run([*evaluate, "--baselines-from", before, *flags]) == 2
        assert "--baselines-from brings all baselines" in capsys.readouterr().err
    assert run([*evaluate, "--baselines-from", str(fitted.folder / "nowhere")]) == 2
    printed = capsys.readouterr()
    assert "cannot be read" in printed.err and "answers" not in printed.err, "said before any time is spent"
    assert run(["evaluate", "--model", str(fitted.model), "--test", test, "--baselines-from", before]) == 2


def test_baselines_of_files(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    test = write_rows(case.folder / "test.jsonl", 6, first=90)
    answers = case.folder / "hosted.jsonl"
    answers.write_text('{"output": "read 630"}\n' * 6)
    out = case.folder / "out"
    flags = ["--model", str(case.model), "--dtype", "float32", "--k", "1", "--limit", "3", "--out", str(out)]
    command = ["baseline", str(case.train), "--test", str(test), *flags, "--predictions", f"hosted={answers}"]
    assert run([*command, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values == json.loads((out / "baselines.json").read_text())
    assert values["n"] == 3
    hosted = values["baselines"][-1]
    assert (hosted["name"], hosted["evaluation"]["exact_match"]) == ("hosted", pytest.approx(1 / 3))
    assert run(command) == 0
    assert "3 held-out rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--rule", "nonsense"], "there is no rule 'nonsense'"),
        (["--task", "sort"], "there is no task 'sort'"),
        (["--predictions", "a=one.jsonl", "--predictions", "a=two.jsonl"], "the name 'a' is given twice"),
        (["--predictions", "a=none.jsonl"], "none.jsonl: cannot be read"),
        (["--k", "0"], "--k"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    case: FitCase, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert run(["baseline", str(case.train), "--test", str(case.valid), *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1


def test_ctrl_c_leaves_no_files(case: FitCase) -> None:
    import signal

    test = write_rows(case.folder / "test.jsonl", 400, first=90)
    out = case.folder / "out"
    flags = ("--model", str(case.model), "--max-new-tokens", "60", "--out", str(out))
    process = start_luthier("baseline", str(case.train), "--test", str(test), *flags)
    assert process.stderr is not None
    for line in process.stderr:
        if "untuned, prompt alone" in line:
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert not out.exists()
