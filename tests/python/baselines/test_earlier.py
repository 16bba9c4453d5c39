"""Baselines that were run before a fit, and compared with its model afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from baseline_rows import questions, write_rows
from luthier.baselines import Baselines, baseline, compare_earlier
from luthier.baselines.files import read_baselines, write_baselines
from luthier.errors import InputError
from luthier.evaluation import Evaluation, judge
from luthier.generation.constraint import Labels
from luthier.records import read


@pytest.fixture
def before(train: Path, test: Path, tmp_path: Path) -> Baselines:
    return baseline(train, test=test, out=tmp_path / "before")


def judged(test: Path, outputs: list[str]) -> Evaluation:
    rows = list(read(test))
    facts = {"seconds": 1.0, "new_tokens": 9, "model": "m", "test": str(test), "max_new_tokens": 9}
    return judge(rows[: len(outputs)], outputs, **facts)


def test_they_are_what_they_would_be_if_run_again(before: Baselines, train: Path, test: Path, tmp_path: Path) -> None:
    tuned = judged(test, ["files", "mail", "mail"] * 4)
    found = compare_earlier(tmp_path / "before", tuned, train_sha256=read(train).sha256, out=tmp_path / "run")
    anew = baseline(train, test=test, tuned=tuned)
    assert found.comparisons == anew.comparisons
    assert [one.evaluation.predictions for one in found.results] == [one.evaluation.predictions for one in anew.results]
    assert read_baselines(tmp_path / "run").to_json() == found.to_json()
    assert before.to_json() == json.loads((tmp_path / "before" / "baselines.json").read_text()), "left as it was"


def test_those_of_other_rows_are_refused(before: Baselines, test: Path, tmp_path: Path) -> None:
    folder = tmp_path / "before"
    with pytest.raises(InputError, match=r"of 12 rows of .*test.jsonl, the evaluation of 6 rows"):
        compare_earlier(folder, judged(test, ["files"] * 6))
    with pytest.raises(InputError, match=r"learned from .*train.jsonl, which is not what the run learned from"):
        compare_earlier(folder, judged(test, ["files"] * 12), train_sha256="0" * 64)
    other = write_rows(tmp_path / "other.jsonl", questions(12, 100))
    with pytest.raises(InputError, match="name the same file in the same way"):
        compare_earlier(folder, judged(other, ["files"] * 12))
    with pytest.raises(InputError, match="cannot be read"):
        compare_earlier(tmp_path / "nowhere", judged(test, ["files"] * 12))


def test_those_of_another_task_or_model_are_refused(train: Path, test: Path, tmp_path: Path) -> None:
    folder = tmp_path / "written"
    baseline(train, test=test, task="write", out=folder)
    with pytest.raises(InputError, match="judged as write, the tuned model as classify"):
        compare_earlier(folder, judged(test, ["files"] * 12))

    found = baseline(train, test=test)
    prompted = [replace(one, kind="prompt") for one in found.results]
    write_baselines(replace(found, results=prompted), folder)
    with pytest.raises(InputError, match="the baselines ask most frequent answer, the run was fitted to base"):
        compare_earlier(folder, judged(test, ["files"] * 12), model="base")
    constrained = replace(judged(test, ["files"] * 12), constraint=Labels(("files", "mail")))
    with pytest.raises(InputError, match="compares free answers only"):
        compare_earlier(folder, constrained)
    alike = [replace(one, evaluation=replace(one.evaluation, constraint=constrained.constraint)) for one in prompted]
    write_baselines(replace(found, results=alike), folder)
    with pytest.raises(InputError, match="compares free answers only"):
        compare_earlier(folder, judged(test, ["files"] * 12))
