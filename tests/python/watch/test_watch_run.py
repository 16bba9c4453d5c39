"""`luthier watch` on a finished run: advice, accuracy, farthest rows, exit statuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drifting_rows import WatchCase, draw, write_records
from fit_case import luthier
from luthier.errors import InputError
from luthier.records import Message, Record
from luthier.training.run import Run
from luthier.watch import watch_run
from luthier.watch.accuracy import Evaluated, read_evaluated

Install = Callable[[Callable[[str, Record], str]], None]


def right(name: str, record: Record) -> str:
    return str(record.reference)


def evaluated(run: Path, folder: Path, share: float = 0.9, rows: int = 200) -> Run:
    """A copy of the run with an evaluation of so many rows, the model's answers being the topics in equal shares."""
    copy = folder / run.name
    shutil.copytree(run, copy)
    (copy / "evaluation.json").write_text(json.dumps({"n": rows, "exact_match": share}), encoding="utf-8")
    outputs = [{"output": ("billing", "login", "delivery")[i % 3]} for i in range(rows)]
    (copy / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in outputs), encoding="utf-8")
    return Run(copy)


def test_free_answers_are_compared_with_free_ones(tmp_path: Path) -> None:
    values = {"n": 4, "exact_match": 0.5, "free": {"n": 4, "exact_match": 0.25}}
    (tmp_path / "evaluation.json").write_text(json.dumps(values))
    (tmp_path / "predictions.jsonl").write_text('{"output": "mail"}\n')
    (tmp_path / "free_predictions.jsonl").write_text('{"output": "Mail, I think."}\n')
    assert read_evaluated(tmp_path) == Evaluated(4, 1, ("Mail, I think.",))
    (tmp_path / "evaluation.json").write_text('{"n": 4, "exact_match": 0.5}')
    assert read_evaluated(tmp_path) == Evaluated(4, 2, ("mail",))


def test_rows_like_those_of_the_fit_are_kept(watched: WatchCase, tmp_path: Path, answering: Install) -> None:
    answering(right)
    path = write_records(tmp_path / "new.jsonl", draw(150, seed=7))
    found = watch_run(evaluated(watched.run, tmp_path), path, labels=True)
    assert found.advice == "keep" and found.status == 0 and found.accuracy is not None and found.accuracy.share == 1
    assert {shift.kind for shift in found.shifts} == {"length", "vocabulary", "embedding", "answers", "labels"}
    assert found.notes == () and json.dumps(found.to_json())


def test_new_rows_may_have_any_format(watched: WatchCase, tmp_path: Path) -> None:
    path = tmp_path / "new.rows"
    path.write_text("text\n" + "\n".join(f"my invoice {index} is wrong" for index in range(40)), encoding="utf-8")
    with pytest.raises(InputError, match=r"new\.rows"):
        watch_run(Run(watched.run), path, answers=False)
    assert watch_run(Run(watched.run), path, answers=False, format="csv").rows == 40
    code, out, err = luthier("watch", str(watched.run), str(path), "--no-answers", "--format", "csv", "--json")
    assert code in (0, 3, 4) and json.loads(out)["rows"] == 40, err


def test_a_fallen_accuracy_asks_for_a_new_fit(watched: WatchCase, tmp_path: Path, answering: Install) -> None:
    wrong_half = iter(range(10_000))
    answering(lambda name, record: str(record.reference) if next(wrong_half) % 2 else "login")
    path = write_records(tmp_path / "new.jsonl", draw(150, seed=7))
    found = watch_run(evaluated(watched.run, tmp_path), path, labels=True)
    assert found.advice == "retrain" and found.status == 4 and "accuracy fell" in found.reasons[0]
    assert found.accuracy is not None and found.accuracy.fell and found.to_json()["accuracy"]["fell"]


def test_answers_that_shift_alone_are_looked_at(watched: WatchCase, tmp_path: Path, answering: Install) -> None:
    answering(lambda name, record: "login")
    path = write_records(tmp_path / "new.jsonl", draw(150, seed=7))
    found = watch_run(evaluated(watched.run, tmp_path), path)
    assert found.advice == "look" and found.status == 3 and "given by the model" in found.reasons[0]
    assert any("--labels" in reason for reason in found.reasons)


def test_without_an_evaluation_answers_are_compared_with_training(
    watched: WatchCase, tmp_path: Path, answering: Install
) -> None:
    answering(right)
    path = write_records(tmp_path / "new.jsonl", draw(150, seed=7))
    found = watch_run(Run(watched.run), path, labels=True)
    assert found.advice == "keep" and found.accuracy is not None and found.accuracy.change is None
    assert "no evaluation" in found.notes[0]


def test_the_row_that_drifted_most_comes_first_with_its_nearest(watched: WatchCase, tmp_path: Path) -> None:
    rows = draw(60, seed=7)
    copied = draw(240, seed=0)[17]
    rows[20] = Record((Message("user", "zebra quagga okapi giraffe", 0.0), Message("assistant", "billing")))
    rows[21] = copied
    path = write_records(tmp_path / "new.jsonl", rows)
    found = watch_run(Run(watched.run), path, answers=False)
    assert (found.farthest[0].file, found.farthest[0].line) == (str(path), 21)
    assert found.farthest[0].distance > 0.9 and found.farthest[0].nearest_file == str(watched.train)
    assert 22 not in [row.line for row in found.farthest] and len(found.farthest) == 10
    alone = watch_run(Run(watched.run), write_records(tmp_path / "one.jsonl", [copied]), answers=False)
    assert alone.farthest[0].distance == pytest.approx(0, abs=1e-6) and alone.farthest[0].nearest_line == 18
    assert alone.advice == "look" and "too few" in alone.reasons[-1]


def test_without_the_training_file_rows_are_ranked_all_the_same(watched: WatchCase, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(watched.run, copy)
    record = json.loads((copy / "run.json").read_text())
    record["settings"]["train"] = str(tmp_path / "gone.jsonl")
    (copy / "run.json").write_text(json.dumps(record))
    rows = draw(60, seed=7)
    rows[20] = Record((Message("user", "zebra quagga okapi giraffe", 0.0), Message("assistant", "billing")))
    found = watch_run(Run(copy), write_records(tmp_path / "new.jsonl", rows), answers=False)
    assert found.farthest[0].line == 21 and found.farthest[0].nearest_line is None
    assert any("training file is gone" in note for note in found.notes)


def test_a_system_message_that_training_never_had_is_noticed(watched: WatchCase, tmp_path: Path) -> None:
    rows = [Record(record.messages[1:]) for record in draw(60, seed=7)]
    found = watch_run(Run(watched.run), write_records(tmp_path / "new.jsonl", rows), answers=False)
    assert found.advice == "look" and any("system message that training never had" in text for text in found.reasons)


@pytest.mark.parametrize(
    ("rows", "options", "status"),
    [
        (draw(150, seed=8), ("--no-answers",), 0),
        (draw(150, seed=8, words=(30, 60)), ("--no-answers",), 3),
        (draw(150, seed=8, words=(30, 60), shares=(9, 1, 0)), ("--no-answers", "--labels"), 4),
    ],
)
def test_the_command_ends_with_the_status_of_its_advice(
    watched: WatchCase, tmp_path: Path, rows: list[Record], options: tuple[str, ...], status: int
) -> None:
    path = write_records(tmp_path / "new.jsonl", rows)
    code, out, err = luthier("watch", str(watched.run), str(path), *options, "--threads", "1")
    assert code == status, err
    assert out.startswith({0: "KEEP", 3: "LOOK", 4: "RETRAIN"}[status]) and "PSI" in out


def test_the_model_itself_is_asked_and_json_is_printed(watched: WatchCase, tmp_path: Path) -> None:
    path = write_records(tmp_path / "new.jsonl", draw(31, seed=8))
    code, out, _ = luthier("watch", str(watched.run), str(path), "--labels", "--json", "--threads", "1")
    values = json.loads(out)
    assert code == values["status"] and values["accuracy"]["rows"] == 31 and values["rows"] == 31


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", (), "holds no rows"),
        (b"\xff\xfe{}\n", (), "bad"),
        (b'{"messages": [{"role": "user", "content": "a"}]}\n', ("--labels",), "no answer"),
        (b"[" * 50_000 + b"\n", (), "bad"),
    ],
)
def test_what_cannot_be_read_ends_with_2(
    watched: WatchCase, tmp_path: Path, content: bytes, options: tuple[str, ...], message: str
) -> None:
    path = tmp_path / "new.jsonl"
    path.write_bytes(content)
    code, _, err = luthier("watch", str(watched.run), str(path), "--no-answers", *options)
    assert code == 2 and message in err and "Traceback" not in err


def test_a_run_without_a_reference_is_named(watched: WatchCase, tmp_path: Path) -> None:
    shutil.copytree(watched.run, tmp_path / "run")
    (tmp_path / "run" / "reference.npz").unlink()
    with pytest.raises(InputError, match="no reference to compare with"):
        watch_run(Run(tmp_path / "run"), watched.train)


def test_damaged_files_of_an_evaluation_count_as_none(watched: WatchCase, tmp_path: Path, answering: Install) -> None:
    answering(right)
    run = evaluated(watched.run, tmp_path)
    (run.folder / "evaluation.json").write_text("[1]")
    (run.folder / "predictions.jsonl").write_text('{"no": 1}\n')
    found: Any = watch_run(run, write_records(tmp_path / "new.jsonl", draw(60, seed=7)), labels=True)
    assert found.accuracy.change is None and found.accuracy.share == 1


def test_the_reference_belongs_to_the_run_and_goes_with_it(watched: WatchCase) -> None:
    from luthier.training.output_folder import OWN_FILES

    assert (watched.run / "reference.npz").is_file() and "reference.npz" in OWN_FILES


def test_rows_too_long_to_answer_count_as_wrong_and_are_noted(watched: WatchCase, tmp_path: Path) -> None:
    rows = [*draw(30, seed=7), *draw(2, seed=8, words=(900, 900))]
    found = watch_run(Run(watched.run), write_records(tmp_path / "new.jsonl", rows), labels=True)
    assert any("2 rows are too long" in note for note in found.notes)
    assert found.accuracy is not None and found.accuracy.rows == 32
