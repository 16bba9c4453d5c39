"""Retrieval, prompts with examples, simple answers, and answers from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from baseline_rows import questions, records
from luthier.baselines.few_shot import few_shot_records, with_examples
from luthier.baselines.predictions import read_predictions
from luthier.baselines.retrieval import TfidfIndex
from luthier.baselines.simple import classifier, most_frequent, nearest_answer
from luthier.errors import InputError
from luthier.records import Record


def test_the_nearest_text_shares_the_rarest_words() -> None:
    index = TfidfIndex(["the red house", "the blue car", "the red car"])
    assert index.nearest(["a blue car", "a red house"], 2) == [[1, 2], [0, 2]]
    assert index.nearest(["nothing known"], 5) == [[0, 1, 2]]
    assert index.nearest([], 2) == []
    with pytest.raises(InputError, match="no prompt holds a word"):
        TfidfIndex(["?", "!"])


def test_examples_stand_after_the_system_message_the_nearest_last() -> None:
    train = records([("red house", "A"), ("blue car", "B"), ("red car", "C")], system="Sort.")
    row = records([("the red house", "?")], system="Sort.")[0]
    found = few_shot_records([row], train, TfidfIndex([one.question for one in train]), 2, lambda all: [False])
    assert [(m.role, m.content) for m in found.records[0].messages] == [
        ("system", "Sort."),
        ("user", "red car"),
        ("assistant", "C"),
        ("user", "red house"),
        ("assistant", "A"),
        ("user", "the red house"),
        ("assistant", "?"),
    ]
    assert found.examples == [2]
    assert (found.records[0].reference, found.records[0].where) == ("?", row.where)


def test_examples_of_several_turns_keep_the_order_of_turns() -> None:
    train = records([("a", "b")])
    row = records([("q", "r")], system="S")[0]
    roles = [message.role for message in with_examples(row, [train[0], train[0]]).messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user", "assistant"]


def test_the_least_similar_examples_go_where_the_prompt_is_too_long() -> None:
    train = records([("red house", "A"), ("blue car", "B"), ("red car", "C")])
    rows = records([("red house", "?"), ("blue car", "?")])

    def too_long(found: Sequence[Record]) -> list[bool]:
        return [len(one.messages) > (4 if one.line == 1 else 0) for one in found]

    found = few_shot_records(rows, train, TfidfIndex([one.question for one in train]), 3, too_long)
    assert found.examples == [1, 0]
    assert [message.content for message in found.records[0].messages] == ["red house", "A", "red house", "?"]
    assert found.records[1] == rows[1]


def test_simple_answers_by_hand() -> None:
    train = records([("red", " A "), ("blue", "B"), ("green", "A"), ("grey", "C")])
    rows = records([("blue", "B"), ("green", "B")])
    assert most_frequent(train, rows).outputs == ["A", "A"]
    assert "2 of 4 training rows" in most_frequent(train, rows).notes[0]
    assert nearest_answer(train, rows, TfidfIndex([row.question for row in train])).outputs == ["B", "A"]
    learned = classifier(records(questions(40)), records(questions(10, 100)))
    assert learned.outputs == [answer for _, answer in questions(10, 100)]
    with pytest.raises(InputError, match="1,001 different answers"):
        classifier(records([("q", str(index)) for index in range(1001)]), rows)


def written(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_answers_from_elsewhere_in_the_order_of_the_rows_or_by_line(tmp_path: Path) -> None:
    rows = records(questions(3))
    in_order = written(tmp_path / "a.jsonl", [{"output": "x", "line": None}, {"output": "y"}, {"output": "z", "id": 3}])
    assert read_predictions(in_order, rows) == ["x", "y", "z"]
    by_line = written(tmp_path / "b.jsonl", [{"output": str(line), "line": line} for line in (3, 1, 2)])
    assert read_predictions(by_line, rows) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"output": "x"}], "p.jsonl: 1 answers for 2 test rows"),
        ([], "p.jsonl: 0 answers for 2 test rows"),
        ([{"output": "x"}, {"answer": "y"}], "p.jsonl:2: the line is no object with `output`"),
        ([{"output": "x"}, "y"], "p.jsonl:2: the line is no object"),
        ([{"output": 1}, {"output": "x"}], "p.jsonl:1: the line is no object"),
        ([{"output": "x" * 1_000_001}], "p.jsonl:1: `output` has 1,000,001 characters"),
        ([{"output": "x", "line": 1}, {"output": "y", "line": 7}], "no answer has the `line` 2 of rows.jsonl:2"),
        ([{"output": "x", "line": "1"}, {"output": "y", "line": 2}], "p.jsonl:1: `line` is no whole number"),
    ],
)
def test_answers_that_do_not_fit_the_rows_are_an_error(tmp_path: Path, rows: list[object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_predictions(written(tmp_path / "p.jsonl", rows), records(questions(2)))


@pytest.mark.parametrize("content", [b"\xff\xfe{}\n", b"{\n", b"\0\n", b"[" * 100_000])
def test_a_damaged_file_of_answers_is_an_error_with_its_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.jsonl").write_bytes(content)
    with pytest.raises(InputError, match="p.jsonl:1: "):
        read_predictions(tmp_path / "p.jsonl", records(questions(1)))
    with pytest.raises(InputError, match="cannot be read"):
        read_predictions(tmp_path / "missing.jsonl", records(questions(1)))
