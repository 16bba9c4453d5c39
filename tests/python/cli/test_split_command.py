"""luthier split on the command line, and its sealed test file through fit, evaluate and check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fit_case import FitCase, write_rows
from luthier.cli.main import EXIT_INPUT, run
from luthier.splits import seal_state


def test_split_prints_what_it_did_and_seals_the_test_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 40)
    out = tmp_path / "out"
    assert run(["split", str(rows), "--out", str(out), "--near-duplicates", "0"]) == 0
    shown = capsys.readouterr().out
    assert "train.jsonl" in shown and "sealed" in shown
    assert run(["split", str(rows), "--out", str(out)]) == EXIT_INPUT
    assert "--overwrite" in capsys.readouterr().err
    arguments = ["split", str(rows), "--out", str(out), "--near-duplicates=0", "--overwrite", "--seed=2", "--json"]
    assert run(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"]["test"]["rows"] == 6 and found["out"] == str(out)


def test_every_opening_of_a_sealed_test_file_is_counted(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    data = case.folder / "data"
    rows = write_rows(case.folder / "rows.jsonl", 30)
    assert run(["split", str(rows), "--out", str(data), "--near-duplicates", "0"]) == 0
    test = data / "test.jsonl"
    assert run([*case.flags("a", train=str(data / "train.jsonl"), valid=None, epochs=1), f"--test={test}"]) == 0
    assert run(["evaluate", str(case.folder / "a"), "--test", str(test), "--no-baselines"]) == 0
    assert run(["evaluate", "--model", str(case.model), "--test", str(test), "--out", str(case.folder / "b")]) == 0
    assert run(["check", str(data / "train.jsonl"), "--test", str(test)]) == 0
    state = seal_state(test)
    assert [opening.by for opening in state.openings] == ["fit", "evaluate", "evaluate", "check"]
    assert [opening.run for opening in state.openings] == [str(case.folder / "a")] * 2 + [None] * 2
    record = json.loads((case.folder / "a" / "run.json").read_text("utf-8"))
    assert [entry["times"] for entry in record["test_opened"].values()] == [2]
    capsys.readouterr()
    test.write_bytes(test.read_bytes() + test.read_bytes().splitlines(keepends=True)[0])
    assert run(["evaluate", str(case.folder / "a"), "--test", str(test)]) == EXIT_INPUT
    assert "changed since it was sealed" in capsys.readouterr().err
    record = json.loads((case.folder / "a" / "run.json").read_text("utf-8"))
    assert [entry["times"] for entry in record["test_opened"].values()] == [2], "a refused file is not opened"


def test_show_reads_rows_of_every_format(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow
    import pyarrow.parquet

    path = case.folder / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"instruction": "a", "output": "b"}] * 3), path)
    assert run(["show", f"{path}:2", "--model", str(case.model)]) == 0
    assert f"{path}:2: " in capsys.readouterr().out
    assert run(["show", f"{path}:2", "--model", str(case.model), "--format", "excel"]) == EXIT_INPUT
    assert "--format excel: must be one of" in capsys.readouterr().err
