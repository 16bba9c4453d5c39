"""`luthier export`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fit_case import FitCase, luthier
from luthier.cli.main import run as run_command


@pytest.fixture
def run_folder(case: FitCase) -> Path:
    """A finished run."""
    return Path(case.fit("run").folder)


def test_an_export_says_what_was_measured(run_folder: Path, case: FitCase) -> None:
    status, out, err = luthier("export", str(run_folder), "--to", "out", "--format", "gguf", cwd=case.folder)
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0] == "out: GGUF model in F16"
    for begin in ("  files", "  replayed", "  token ids", "  logits", "  greedy tokens", "  the fit"):
        assert any(line.startswith(begin) for line in lines), begin
    assert "asking the exported files, loaded anew ..." in err
    assert sorted(path.name for path in (case.folder / "out").iterdir()) == ["export.json", "model-F16.gguf"]


def test_json_is_the_content_of_export_json(
    run_folder: Path, case: FitCase, capsys: pytest.CaptureFixture[str]
) -> None:
    out = case.folder / "out"
    assert run_command(["export", str(run_folder), "--to", str(out), "--format", "peft", "--no-verify", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("out") == str(out)
    assert printed == json.loads((out / "export.json").read_text())
    assert printed["verified"] is False


def test_a_failed_verification_exits_with_1_and_the_numbers(
    run_folder: Path, case: FitCase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.delivery import floor, replay

    monkeypatch.setattr(replay, "FLOORS", {"bfloat16": floor.Floor(0.0, 1.0, "nothing may change")})
    assert run_command(["export", str(run_folder), "--to", str(case.folder / "out")]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("luthier: [export] the merged model in bfloat16 failed its verification and was not kept: ")
    assert "nats a token (at most 0)" in said
    assert not (case.folder / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "onnx"], "format is 'onnx'"),
        (["--quant", "Q8_0"], "--quant goes with --format gguf"),
        (["--check", "llama.cpp"], "--check llama.cpp does not go with --format merged"),
        (["--rows", "missing.jsonl"], "missing.jsonl: there is no such file"),
    ],
)
def test_wrong_options_exit_with_2(
    options: list[str], words: str, run_folder: Path, case: FitCase, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["export", str(run_folder), "--to", str(case.folder / "out"), *options]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (case.folder / "out").exists()
