"""The look at the rows before a fit: short, recorded in run.json, left out with --no-check, and never in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fit_case import FitCase
from luthier.training.run import Run, run_fit


def fit_aloud(case: FitCase, **changes: Any) -> Run:
    """A small fit that prints what it notes."""
    return run_fit(case.settings(epochs=1, **changes))


def test_a_fit_says_what_is_wrong_with_the_rows_and_records_it(
    case: FitCase, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = case.train.read_text(encoding="utf-8").splitlines()
    case.train.write_text("\n".join([*lines, lines[0]]) + "\n", encoding="utf-8")
    run = fit_aloud(case)
    text = capsys.readouterr().err
    assert f"check of {case.train}" in text and "duplicate 1: " in text and f"({case.train}:{len(lines) + 1})" in text
    assert run.record["check"]["duplicate"] == {"severity": "warning", "count": 1}
    assert "fine" not in {entry["severity"] for entry in run.record["check"].values()}


def test_leaked_validation_rows_are_an_error_that_stops_nothing(case: FitCase) -> None:
    case.valid.write_text(case.train.read_text(encoding="utf-8"), encoding="utf-8")
    run = fit_aloud(case)
    assert run.status == "done" and run.record["check"]["leakage"]["severity"] == "error"


def test_no_check_leaves_it_out(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    run = fit_aloud(case, no_check=True)
    assert "check of" not in capsys.readouterr().err
    assert "check" not in run.record and "no_check" not in run.settings


def test_a_check_that_fails_does_not_cost_the_fit(
    case: FitCase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("something unforeseen")

    monkeypatch.setattr("luthier.checks.run.quick_check", broken)
    assert fit_aloud(case).status == "done"
    assert "the rows could not be checked: something unforeseen" in capsys.readouterr().err


def test_a_continued_run_is_not_checked_again(case: FitCase, capsys: pytest.CaptureFixture[str]) -> None:
    fit_aloud(case)
    capsys.readouterr()
    fit_aloud(case, resume=True)
    assert "check of" not in capsys.readouterr().err


def test_slow_checks_are_left_out_for_many_rows(tmp_path: Path) -> None:
    from luthier.checks.checked_file import Reading
    from luthier.checks.run import quick_check
    from luthier.records.record import Message, Record

    rows = [
        Record((Message("user", f"number {index}", 0.0), Message("assistant", f"answer {index}")), line=index + 1)
        for index in range(5001)
    ]
    skipped = {entry.code: entry.reason for entry in quick_check(rows, Reading()).skipped}
    assert "left out" in skipped["near-duplicate"] and "left out" in skipped["suspect-label"]
    assert "near-duplicate" in quick_check(rows[:100], Reading())
