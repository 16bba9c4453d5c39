"""`fit` and `Run` in Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fit_case import FitCase, adapter_bytes, need_core, write_rows
from luthier.errors import InputError
from luthier.training.run import Run, fit
from luthier.training.settings import Full, Lora
from tiny_model import chat


def test_three_lines_of_python_do_what_the_command_line_does(case: FitCase) -> None:
    from luthier.records import read

    common = {"epochs": 2, "batch_size": 4, "micro_tokens": 120, "learning_rate": 1e-2, "max_length": 128, "threads": 1}
    kept = {"dtype": "float32", "save_every": 3, "quiet": True}
    run = fit(
        read(case.train),
        model=case.model,
        adapter=Lora(rank=4),
        out=case.folder / "a",
        valid=case.valid,
        **common,
        **kept,
    )
    assert adapter_bytes(run.folder) == adapter_bytes(case.fit("b").folder)
    assert run.settings["train"] == str(case.train)


def test_rows_may_be_lists_of_messages(case: FitCase) -> None:
    rows = [chat(f"file {i}", f"read {i}") for i in range(5)]
    run = fit(rows, model=case.model, adapter="lora", rank=2, out=case.folder / "a", threads=1, quiet=True)
    assert len(run.ledger) == 5
    assert run.settings["train"] is None


def test_an_unknown_keyword_names_the_nearest() -> None:
    with pytest.raises(InputError, match="fit: unknown key 'epoch'; did you mean 'epochs'"):
        fit("rows.jsonl", model="m", out="o", epoch=3)


def test_full_is_an_adapter_of_its_own(case: FitCase) -> None:
    run = fit(case.train, model=case.model, adapter=Full(), out=case.folder / "a", steps=1, threads=1, quiet=True)
    assert run.settings["adapter"] == "full"


def test_a_run_can_be_opened_later_and_prints_what_it_is(case: FitCase) -> None:
    folder = case.fit(epochs=1).folder
    run = Run(folder)
    assert "status done" in repr(run)
    assert "lora rank 4" in repr(run)
    assert "valid loss" in repr(run)
    assert "<table>" in run._repr_html_()
    assert len(run.metrics) == 4
    assert len(run.ledger) == 13
    with pytest.raises(InputError, match="no run here"):
        Run(folder.parent)


def test_html_of_a_run_is_escaped(case: FitCase) -> None:
    run = case.fit("<b>", epochs=1)
    assert "<b>" not in run._repr_html_().split("<caption>")[1].split("</caption>")[0]


def test_a_run_answers_evaluates_and_counts_the_openings_of_a_test_file(case: FitCase) -> None:
    run = case.fit(epochs=1)
    test = write_rows(case.folder / "test.jsonl", 3, first=90)
    answer = run.generate("the file at 3", max_new_tokens=4)
    assert isinstance(answer, str)
    evaluation = run.evaluate(test, max_new_tokens=4)
    assert evaluation.n == 3
    assert json.loads((run.folder / "evaluation.json").read_text())["n"] == 3
    copy = case.folder / "copy.jsonl"
    copy.write_bytes(test.read_bytes())
    Run(run.folder).evaluate(copy, max_new_tokens=4)
    assert [entry["times"] for entry in run.record["test_opened"].values()] == [2]


def test_test_rows_given_to_fit_are_evaluated_once_at_the_end(case: FitCase) -> None:
    test = write_rows(case.folder / "test.jsonl", 3, first=90)
    run = case.fit(epochs=1, test=str(test))
    assert json.loads((run.folder / "evaluation.json").read_text())["n"] == 3
    assert [entry["times"] for entry in run.record["test_opened"].values()] == [1]
    assert run.record["sha256"]["test_file"] in run.record["test_opened"]


def test_a_run_exports_a_model_that_answers_the_same(case: FitCase) -> None:
    from luthier.models import load

    run = case.fit()
    folder = run.export(case.folder / "merged", dtype="float32")
    prompts = ["the file at 3", "the file at 4"]
    merged = load(folder, dtype="float32").generate(prompts, max_new_tokens=6)
    assert merged == run.generate(prompts, max_new_tokens=6)


def test_a_run_without_a_result_says_how_to_continue(tmp_path: Path) -> None:
    need_core()
    from luthier.training.run_record import new_record, write_record

    settings = {"adapter": "lora", "rank": 4, "model": "m", "dtype": "float32"}
    write_record(tmp_path, new_record(settings, {}, 1))
    with pytest.raises(
        InputError, match="the run is running and has no adapter/ yet; continue it with: luthier fit --resume"
    ):
        Run(tmp_path).model()
