"""The rows that a run has wrong: order, neighbours, and labels that look wrong rather than the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from luthier.errors import InputError
from luthier.report import Neighbour, find_errors
from luthier.report.doubt import SUSPECT, doubt
from run_folder import LABELS, make_run, question

TRAIN = [question(index) for index in range(300)]
TEST = [question(index) for index in range(1000, 1090)]


def near(*answers: str) -> list[Neighbour]:
    """Neighbours of equal similarity."""
    return [Neighbour("train.jsonl", line, answer, 0.5) for line, answer in enumerate(answers, start=1)]


def test_flipped_labels_are_told_from_wrong_answers(tmp_path: Path) -> None:
    flipped = set(range(0, 90, 9))
    test = [
        (asked, LABELS[(LABELS.index(answer) + 1) % 3] if index in flipped else answer)
        for index, (asked, answer) in enumerate(TEST)
    ]
    wrong = set(range(4, 90, 10))
    outputs = [
        LABELS[(LABELS.index(truth) + 2) % 3] if index in wrong else truth for index, (_, truth) in enumerate(TEST)
    ]
    made = make_run(tmp_path, TRAIN, test)
    made.baselines(made.evaluate(outputs))
    found = find_errors(made.folder)
    assert {row.line - 1 for row in found.of("label")} == flipped - wrong
    assert {row.line - 1 for row in found.rows} == flipped | wrong
    assert found.rows[0].kind == "answer"  # the model's own errors are worse than the label's
    row = found.of("label")[0]
    assert row.prompt == test[row.line - 1][0]
    assert row.nearest[0].file == str(made.train)
    assert TRAIN[row.nearest[0].line - 1][1] == row.nearest[0].answer == row.output
    assert "TF-IDF + logistic regression" in row.agreeing
    assert sum(one.count for one in found.confusions) == len(found.rows)
    assert found.confusions[0].count >= found.confusions[-1].count


def test_an_answer_that_is_no_label_is_wrong_in_form(tmp_path: Path) -> None:
    made = make_run(tmp_path, TRAIN, TEST)
    made.evaluate(["none of these", "", *(answer for _, answer in TEST[2:])])
    assert [row.kind for row in find_errors(made.folder).rows] == ["form", "form"]


def test_rows_of_json_are_ordered_by_their_score(tmp_path: Path) -> None:
    rows = [(f"row {index}", f'{{"a": {index}, "b": 2}}') for index in range(60)]
    made = make_run(tmp_path, rows, rows)
    made.evaluate(['{"a": 0, "b": 3}', "no json", *(answer for _, answer in rows[2:])])
    found = find_errors(made.folder)
    assert [(row.line, row.kind) for row in found.rows] == [(2, "form"), (1, "answer")]
    assert found.rows[1].score == 0.5
    assert found.confusions == ()


def test_doubt_needs_two_witnesses() -> None:
    assert doubt("a", "b", near("b", "b"), {"classifier": "b"}) == 1.0
    assert doubt("a", "b", near("a", "a"), {"classifier": "a"}) == -1.0
    assert doubt("a", "b", near("b", "b"), {}) < SUSPECT
    assert doubt("a", "b", [], {"classifier": "b"}) < SUSPECT
    assert doubt("a", "b", near("c", "c"), {"few_shot": "b"}) < SUSPECT
    assert doubt("a", "b", near("b", "c", "c"), {"classifier": "b"}) >= SUSPECT
    assert doubt("a", "b", [], {}) == 0.0


def test_what_is_missing_is_noted(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    made.evaluate(["files"] * 60)
    made.train.write_text("{}\n")
    found = find_errors(made.folder)
    assert len(found.rows) == 40 and not any(row.nearest for row in found.rows)
    assert "the training file is gone or has changed" in found.notes[0]
    made.test.unlink()
    found = find_errors(made.folder)
    assert all(row.prompt is None for row in found.rows)
    assert "test.jsonl" in found.notes[0]


def test_a_test_file_that_changed_shows_no_wrong_prompt(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    made.evaluate(["files"] * 60)
    lines = made.test.read_text().splitlines()
    made.test.write_text("\n".join(lines[:10] + lines[11:]) + "\n")
    found = find_errors(made.folder)
    moved = [row for row in found.rows if row.line > 10]
    assert any(row.prompt is None for row in moved)
    assert "has changed since it was evaluated" in found.notes[0]


def test_a_run_without_errors_says_so(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    made.evaluate([question(index)[1] for index in range(1000, 1060)])
    found = find_errors(made.folder)
    assert found.rows == () and repr(found).startswith("ErrorReport(0 of 60 rows wrong")
    assert found.to_json()["wrong"] == 0


def test_a_run_that_was_not_evaluated_is_told_how(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="luthier evaluate"):
        find_errors(make_run(tmp_path).folder)


def test_a_notebook_shows_no_text_of_the_rows_as_html(tmp_path: Path) -> None:
    rows = [(f"<script>alert({index})</script>", "<b>yes</b>" if index % 2 else "no") for index in range(60)]
    made = make_run(tmp_path, rows, rows)
    made.evaluate(["<i>maybe</i>"] * 60)
    shown = find_errors(made.folder)._repr_html_()
    assert "<script" not in shown and "<b>yes" not in shown and "<i>" not in shown


def test_calls_that_were_compared_as_a_template_writes_them_belong_to_their_rows(tmp_path: Path) -> None:
    made = make_run(tmp_path, TRAIN)
    calls = [{"function": {"name": "open", "arguments": {"number": index}}} for index in range(60)]
    lines = [
        {"messages": [{"role": "user", "content": f"open file {index}"}, {"role": "assistant", "tool_calls": [call]}]}
        for index, call in enumerate(calls)
    ]
    made.test.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    made.evaluate(["nothing"] * 60)
    path = made.folder / "predictions.jsonl"
    written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for one in written:
        one["expected"] = f"<call>{one['expected']}</call>" if one["line"] > 1 else "<call>close</call>"
    path.write_text("".join(json.dumps(one) + "\n" for one in written), encoding="utf-8")
    found = find_errors(made.folder)
    assert {row.line: row.prompt for row in found.rows} == {1: None} | {n: f"open file {n - 1}" for n in range(2, 61)}
    assert "1 row is shown without prompt" in " ".join(found.notes)
