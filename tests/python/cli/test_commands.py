"""The contract of the command line: options, exit status, stderr and stdout."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fit_case import PYTHON_FOLDER, FitCase, luthier, write_rows
from luthier.training.settings import KEYS, compose, flatten, spell

COMMANDS = tuple(
    "check clean split fit plan profile evaluate baseline verdict errors report generate gate watch serve chat export"
    " show models fetch demo version".split()
)


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    from luthier.cli.main import run

    assert run([*arguments, "--help"]) == 0
    return capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys)
    assert all(re.search(rf"^  {command} ", text, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    text = help_of(capsys, command)
    assert f"Usage: luthier {command}" in text
    options = re.findall(r"^  (--[a-z-]+)(.*(?:\n {10,}.*)*)", text, re.MULTILINE)
    assert options
    assert all(len(words.split()) > 2 for _, words in options), "an option has no text"


def test_fit_has_an_option_for_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(help_of(capsys, "fit").split())
    options = {part.split()[0]: part for part in re.split(r" (?=--[a-z])", text) if part.startswith("--")}
    assert set(options) >= {f"--{spell(key)}" for key in KEYS if key != "train"}
    compared = 0
    for key, value in flatten(compose({"model": "m", "out": "o"})).items():
        stated = re.search(r"\[default: ([^\],]+)", options.get(f"--{spell(key)}", ""))
        if stated and isinstance(value, int | float | str):
            assert float(stated[1]) == value if stated[1][0].isdigit() else stated[1] == value, key
            compared += 1
    assert compared >= 15


def test_help_does_not_load_what_is_slow() -> None:
    code = (
        "import sys\n"
        "from luthier.cli.main import run\n"
        "for arguments in (['--help'], ['fit', '--help']): assert run(arguments) == 0\n"
        "slow = ('torch', 'transformers', 'tokenizers', 'sklearn', 'numpy')\n"
        "print([name for name in slow if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PYTHON_FOLDER)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "--nonsense"], "No such option: --nonsense"),
        (["nonsense"], "No such command 'nonsense'"),
        (["evaluate", "run"], "Missing option '--test'"),
        (["evaluate", "--test", "t.jsonl"], "give either the folder of a run or --model"),
        (["evaluate", "run", "--model", "m", "--test", "t.jsonl"], "not both"),
        (["evaluate", "no-run", "--test", "t.jsonl"], "no-run: no run here"),
        (["evaluate", "--model", "m", "--test", "t.jsonl", "--baselines"], "baselines need rows to learn from"),
        (["evaluate", "run", "--test", "t.jsonl", "--predictions", "x"], "give a name and a file"),
        (["evaluate", "run", "--test", "t.jsonl", "--schema", "no.json"], "no.json: the schema cannot be read"),
        (["baseline", "rows.jsonl"], "Missing option '--test'"),
        (["baseline", "rows.jsonl", "--test", "t.jsonl"], "rows.jsonl: there is no such file"),
        (["fit", "rows.jsonl", "--out", "o"], "'model' is missing"),
        (
            ["fit", "rows.jsonl", "--model", "m", "--out", "o", "--rank", "0"],
            "'rank' is 0; it must be a whole number from 1",
        ),
        (["fit", "rows.jsonl", "--model", "m", "--out", "o", "--set", "rnk=0"], "did you mean 'rank'"),
        (["fit", "rows.jsonl", "--model", "m", "--out", "o", "--config", "no.yaml"], "no.yaml: cannot read"),
        (["fit", "rows.jsonl", "--model", "./missing", "--out", "o"], "missing"),
        (["export", "no-run", "--to", "x"], "no run here"),
        (["fetch", "nonsense"], "nonsense"),
        (["show", "rows.jsonl:1"], "Missing option '--model'"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from luthier.cli.main import run

    if arguments[0] in ("fit", "evaluate", "export"):
        pytest.importorskip("luthier._core")
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.startswith("luthier: ")
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unexpected_error_exits_with_1_and_debug_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from luthier.cli.main import run

    monkeypatch.setattr("luthier.models.registry.known_models", lambda: 1 / 0)
    assert run(["models"]) == 1
    assert "internal error: ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.setenv("LUTHIER_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["models"])


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = "import sys; from luthier.cli.main import main; main()"
    command = f"{sys.executable} -c '{code}' fit --help | head -1"
    done = subprocess.run(
        command, shell=True, env={"PYTHONPATH": str(PYTHON_FOLDER)}, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr


def test_the_whole_chain_from_rows_to_a_merged_model(case: FitCase) -> None:
    test = write_rows(case.folder / "test.jsonl", 3, first=90)
    run = str(case.folder / "run")
    status, out, err = luthier(*case.flags("run", epochs=1), "--json")
    assert status == 0, err
    result = json.loads(out)
    assert (result["status"], result["steps"]) == ("done", 4)
    assert "step 4/4" in err
    assert "rows" in err

    status, out, err = luthier("evaluate", run, "--test", str(test), "--no-forgetting", "--json")
    assert status == 3, err
    assert (json.loads(out)["n"], json.loads(out)["verdict"]) == (3, "HOLD")
    assert (case.folder / "run" / "predictions.jsonl").read_text().count("\n") == 3
    status, out, err = luthier("evaluate", run, "--test", str(test), "--no-baselines")
    assert status == 0, err
    assert "exact match" in out

    answers = case.folder / "answers.jsonl"
    status, out, err = luthier("generate", run, "--in", str(test), "--out", str(answers), "--max-new-tokens", "4")
    assert status == 0, err
    assert all("output" in json.loads(line) for line in answers.read_text().splitlines())

    status, out, err = luthier("export", run, "--to", str(case.folder / "merged"))
    assert status == 0, err
    assert (case.folder / "merged" / "config.json").exists()


def test_evaluate_and_generate_take_a_model_alone(case: FitCase) -> None:
    test = write_rows(case.folder / "test.jsonl", 3, first=90)
    status, out, err = luthier(
        "evaluate", "--model", str(case.model), "--test", str(test), "--json", "--max-new-tokens", "4", cwd=case.folder
    )
    assert status == 0, err
    assert json.loads(out)["n"] == 3
    assert (case.folder / "evaluation.json").exists()
    status, out, err = luthier(
        "generate",
        "--model",
        str(case.model),
        "--in",
        str(test),
        "--out",
        "a.jsonl",
        "--max-new-tokens",
        "4",
        "--json",
        cwd=case.folder,
    )
    assert status == 0, err
    assert json.loads(out)["rows"] == 3


def test_settings_come_from_a_file_too(case: FitCase) -> None:
    values = case.settings("run", epochs=1)
    train = values.pop("train")
    file = case.folder / "fit.yaml"
    file.write_text("".join(f"{spell(key)}: {value}\n" for key, value in values.items()))
    status, _, err = luthier("fit", train, "--config", str(file), "--set", "alpha=8", "--rank", "2")
    assert status == 0, err
    record = json.loads((case.folder / "run" / "run.json").read_text())
    assert (record["settings"]["alpha"], record["settings"]["rank"], record["settings"]["batch_size"]) == (8.0, 2, 4)


def test_show_marks_the_supervised_tokens(case: FitCase) -> None:
    status, out, err = luthier("show", f"{case.train}:2", "--model", str(case.model))
    assert status == 0, err
    assert "[[read 7<|im_end|>" in out
    status, out, err = luthier("show", f"{case.train}:99", "--model", str(case.model))
    assert status == 2
    assert "no row starts on line 99" in err
    status, out, err = luthier("show", f"{case.train}:2", "--model", str(case.model), "--json")
    assert sum(json.loads(out)["weights"]) > 0
