"""The verdict on a run from the files in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from luthier.errors import InputError
from luthier.evaluation import SeedFigures, read_evaluation
from luthier.training.run_record import count_test_opening
from luthier.verdict import Thresholds, run_verdict
from luthier.verdict.files import stored_thresholds, write_verdict
from luthier.verdict.gather import gather
from run_folder import MadeRun, clean_check, forgetting, make_run, question

RIGHT = [question(index)[1] for index in range(1000, 1060)]


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    """A run with baselines that is always right."""
    found = make_run(tmp_path)
    found.baselines(found.evaluate(RIGHT))
    return found


def codes(made: MadeRun, **options: Any) -> list[str]:
    """The codes of the reasons that decided."""
    return [reason.code for reason in run_verdict(made.folder, **options).deciding]


def test_what_was_not_measured_does_not_count_as_passed(made: MadeRun) -> None:
    assert "leakage" in codes(made) and "forgetting" in codes(made)
    made.write("check.json", clean_check(made))
    assert "leakage" not in codes(made)
    made.write("forgetting.json", forgetting())
    assert "forgetting" not in codes(made)


def test_the_evidence_holds_what_the_files_say(made: MadeRun) -> None:
    made.write("check.json", clean_check(made))
    made.write("forgetting.json", forgetting(0.05))
    found = gather(made.folder)
    assert found.tuned == read_evaluation(made.folder)
    assert [rival.kind for rival in found.rivals] == ["constant", "classifier", "neighbour"]
    assert (found.leaked, found.nearly_leaked, found.train_rows) == (0, 0, 120)
    assert found.forgot is not None and found.forgot.rises[0].change == 0.05
    # The checkpoint after step 20 was kept: the loss is that of the steps up to it.
    assert found.losses.train == pytest.approx(sum(2 / step for step in range(1, 21)) / 20)
    assert (found.losses.valid, found.losses.test) == (0.28, 0.31)
    assert found.losses.last_valid == pytest.approx(0.2 + 1.6 / 30)
    assert (found.test_use.openings, found.test_use.reused_as) == (2, None)


def test_only_leaked_rows_that_were_evaluated_count(made: MadeRun) -> None:
    rows = [
        {"file": str(made.train), "line": 1, "note": "", "other": {"file": str(made.test), "line": line}}
        for line in (2, 2, 5, 999)
    ]
    leak = {"code": "leakage", "severity": "error", "count": 3, "rows": rows, "message": "", "repair": ""}
    made.write("check.json", clean_check(made, leak))
    assert gather(made.folder).leaked == 2
    assert codes(made)[0] == "leakage"


def test_only_test_rows_with_another_spelling_of_their_label_count(made: MadeRun) -> None:
    rows = [
        {"file": str(file), "line": line, "note": "'Files' for 'files'"}
        for file, line in ((made.train, 3), (made.test, 3), (made.test, 4), (made.test, 999))
    ]
    found = {"code": "label-variant", "severity": "warning", "count": 4, "rows": rows, "message": "", "repair": ""}
    made.write("check.json", clean_check(made, found))
    assert gather(made.folder).misspelt == 2


def test_a_test_file_under_another_name_is_the_same_test_file(made: MadeRun) -> None:
    copy = made.test.with_name("copy.jsonl")
    copy.write_bytes(made.test.read_bytes())
    assert count_test_opening(made.folder, copy) == 3
    assert count_test_opening(made.folder, copy) == 4
    made.evaluate(RIGHT, test=str(copy))
    assert gather(made.folder).test_use.openings == 4
    record = json.loads((made.folder / "run.json").read_text())
    (opened,) = record["test_opened"].values()
    assert (opened["file"], opened["also"]) == (str(made.test), [str(copy)])
    record["sha256"]["valid_file"] = next(iter(record["test_opened"]))
    made.write("run.json", record)
    assert "test-reused" in codes(made)


def test_the_general_rows_of_a_replay_are_no_training_rows(made: MadeRun) -> None:
    record = json.loads((made.folder / "run.json").read_text())
    record["rows"] |= {"rows": 1120, "used": 1120, "replay": 1000}
    made.write("run.json", record)
    assert gather(made.folder).train_rows == 120
    suspects = {"code": "suspect-label", "severity": "warning", "count": 30, "rows": [], "message": "", "repair": ""}
    made.write("check.json", clean_check(made, suspects))
    assert gather(made.folder).train_rows == 120 and "suspect-label" in codes(made)


def test_the_figures_of_other_seeds_are_evidence(made: MadeRun) -> None:
    blocks = (SeedFigures("accuracy", {0: 1.0, 1: 0.9}, (2,)),)
    made.baselines(made.evaluate(RIGHT, blocks=blocks))
    found = gather(made.folder)
    assert (found.seeds, found.missing_seeds) == ((1.0, 0.9), (2,))
    assert found.rivals  # the baselines were compared with this evaluation


def test_checks_of_another_test_file_say_nothing(made: MadeRun) -> None:
    made.write("check.json", clean_check(made) | {"test": "other.jsonl"})
    assert gather(made.folder).leaked is None


def test_baselines_of_another_evaluation_are_left_out(made: MadeRun) -> None:
    made.evaluate(["files"] * 60)
    assert gather(made.folder).rivals == ()
    assert "no-baselines" in codes(made)


def test_a_test_file_that_is_the_validation_file_is_found(made: MadeRun) -> None:
    record = json.loads((made.folder / "run.json").read_text())
    record["sha256"]["valid_file"] = next(iter(record["test_opened"]))
    made.write("run.json", record)
    assert codes(made)[0] == "test-reused"


def test_findings_of_the_fit_count_where_no_later_check_is_there(made: MadeRun) -> None:
    record = json.loads((made.folder / "run.json").read_text())
    made.write("run.json", record | {"check": {"secret": {"severity": "error", "count": 2}}})
    assert "secret" in codes(made)


def test_the_verdict_is_kept_with_its_thresholds(made: MadeRun) -> None:
    before = json.loads((made.folder / "evaluation.json").read_text())
    found = run_verdict(made.folder, Thresholds(forgetting=0.5))
    write_verdict(found, made.folder)
    after = json.loads((made.folder / "evaluation.json").read_text())
    assert after == before | found.to_json()
    assert after["verdict"] == found.outcome and after["reasons"] == found.reasons
    assert stored_thresholds(made.folder).forgetting == 0.5
    assert run_verdict(made.folder).thresholds.forgetting == 0.5
    assert read_evaluation(made.folder).n == 60


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("check.json", "{"),
        ("check.json", '{"rows": 3}'),
        ("check.json", "[]"),
        ("forgetting.json", '{"general": {}}'),
        ("forgetting.json", "\x00"),
        ("baselines.json", "{}"),
        ("evaluation.json", "null"),
        ("run.json", "{}"),
    ],
)
def test_a_damaged_file_is_named(made: MadeRun, name: str, content: str) -> None:
    (made.folder / name).write_text(content)
    with pytest.raises(InputError) as error:
        run_verdict(made.folder)
    assert str(made.folder) in str(error.value)


def test_a_run_that_was_not_evaluated_is_told_how(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    with pytest.raises(InputError) as error:
        run_verdict(made.folder)
    assert "luthier evaluate" in str(error.value)


def test_a_run_that_was_written_by_an_older_version_has_a_verdict(made: MadeRun) -> None:
    record = json.loads((made.folder / "run.json").read_text())
    for name in ("best", "rows", "test_opened", "sha256"):
        record.pop(name)
    made.write("run.json", record)
    (made.folder / "metrics.jsonl").unlink()
    found = gather(made.folder)
    assert (found.losses.train, found.losses.valid, found.test_use.openings) == (None, None, None)
    assert run_verdict(made.folder).outcome in ("HOLD", "RETHINK")
