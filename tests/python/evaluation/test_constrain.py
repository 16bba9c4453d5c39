"""What answers are constrained to, and constrained answers beside free ones in an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.evaluation import evaluate, read_evaluation
from luthier.evaluation.constrain import MOST_LABELS, constraint_of, for_writing, read_labels
from luthier.evaluation.files import FREE_PREDICTIONS_FILE
from luthier.evaluation.json_answers import schema_of
from luthier.generation import Labels, Schema
from luthier.models import Model, load
from tiny_model import TinyShape, chat, make_tiny_model

ROWS = [("read a file", "files"), ("send a letter", "mail"), ("open a folder", "files"), ("the inbox", "mail")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("base") / "model"
    return load(make_tiny_model(folder, TinyShape(layers=2, max_positions=1024)), dtype="float32")


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = [json.dumps({"messages": chat(question, answer)}) + "\n" for question, answer in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_labels_are_the_different_answers() -> None:
    assert constraint_of("labels", ["mail", "files", "mail", " "]) == Labels(("files", "mail"))
    with pytest.raises(InputError, match="no answer to take labels from in the rows"):
        constraint_of("labels", ["", " "])
    with pytest.raises(InputError, match=r"1,001 different answers in train.jsonl, more than 1,000"):
        constraint_of("labels", [str(i) for i in range(MOST_LABELS + 1)], source="train.jsonl")
    with pytest.raises(InputError, match=r"an answer in the rows has 1,001 characters; a label has 1,000 at most"):
        constraint_of("labels", ["mail", "x" * 1001])
    with pytest.raises(InputError, match="labels or schema, not to 'words'"):
        constraint_of("words", ["a"])


def test_a_schema_is_given_or_what_the_answers_have_in_common() -> None:
    pytest.importorskip("llguidance")
    answers = ['{"to": "a", "cc": null}', '{"to": "b", "about": 3, "cc": "c"}']
    found = constraint_of("schema", answers)
    assert isinstance(found, Schema)
    assert list(found.schema["properties"]) == ["to", "about", "cc"]
    assert found.schema["required"] == ["cc", "to"]
    given = {"type": "object", "properties": {"cc": {}, "to": {"type": "string"}, "more": {}}}
    ordered = constraint_of("schema", [*answers, "no JSON"], given)
    assert isinstance(ordered, Schema)
    assert list(ordered.schema["properties"]) == ["to", "cc", "more"]
    assert ordered.schema["additionalProperties"] is False
    for more in ({"additionalProperties": True}, {"allOf": [{}]}, {"required": ["other"]}):
        assert for_writing(given | more, []).get("additionalProperties") is not False
    with pytest.raises(InputError, match=r"1 of 3 answers in the rows are no JSON objects or arrays; give --schema"):
        constraint_of("schema", [*answers, "no JSON"])
    with pytest.raises(InputError, match="the JSON Schema is list; it must be a JSON object"):
        constraint_of("schema", answers, [1])  # type: ignore[arg-type]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abcde"), below, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=5))
def test_the_schema_that_values_show_is_changed_in_nothing_but_its_order(values: list[Any]) -> None:
    schema = schema_of(values)
    assert for_writing(schema, values) == schema
    if len(values) == 1 and isinstance(values[0], dict):
        assert list(for_writing(schema, values).get("properties", {})) == list(values[0])


def test_labels_are_read_from_lines_and_from_rows(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("mail\n\n files \nmail\n", encoding="utf-8")
    assert read_labels(tmp_path / "labels.txt") == Labels(("files", "mail"))
    assert read_labels(write(tmp_path / "rows.jsonl", ROWS)) == Labels(("files", "mail"))
    with pytest.raises(InputError, match="none.txt: the labels cannot be read"):
        read_labels(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"f\xe9\n")
    with pytest.raises(InputError, match=r"latin.txt: the labels are not UTF-8 text"):
        read_labels(tmp_path / "latin.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match=r"no answer to take labels from in .*empty.txt"):
        read_labels(tmp_path / "empty.txt")


def test_constrained_and_free_answers_stand_side_by_side(model: Model, tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", ROWS)
    heard: list[str] = []
    found = evaluate(model, test, tmp_path, calibration_rows=0, constrain="labels", on_start=heard.append)
    assert heard[:2] == ["answers, constrained to labels", "free answers"]
    assert found.constraint == Labels(("files", "mail"))
    assert {one.output for one in found.predictions} <= {"files", "mail"}
    free = evaluate(model, test, calibration_rows=0, max_new_tokens=found.max_new_tokens)
    assert found.free is not None
    assert [one.output for one in found.free.predictions] == [one.output for one in free.predictions]
    assert found.free.constraint is None and found.free.exact_match == free.exact_match
    shown = dict(found.figures())
    assert shown["answers constrained to"] == "2 labels"
    assert shown["exact match, free answers"].startswith("0.0%")

    values = json.loads((tmp_path / "evaluation.json").read_text())
    assert values == found.to_json()
    assert values["constraint"] == {"kind": "labels", "labels": ["files", "mail"]}
    assert values["free"]["exact_match"] == 0
    again = read_evaluation(tmp_path)
    assert again.to_json() == values
    assert again.free is not None and again.free.predictions == found.free.predictions
    assert again.constraint == found.constraint

    plain = evaluate(model, test, tmp_path, calibration_rows=0)
    assert not {"constraint", "free"} & plain.to_json().keys()
    assert not (tmp_path / FREE_PREDICTIONS_FILE).exists(), "those of the evaluation before"
    assert read_evaluation(tmp_path).free is None


def test_json_answers_keep_the_schema_of_the_references(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    rows = [(f"the order of {i}", json.dumps({"paid": i % 2 == 0, "size": None})) for i in range(4)]
    found = evaluate(model, write(tmp_path / "test.jsonl", rows), max_new_tokens=400, constrain="schema")
    assert found.json_figures is not None and found.json_figures.schema_kept == 1.0
    assert found.free is not None and found.free.json_figures is not None
    assert found.free.json_figures.valid_json == 0.0
    assert "field F1, free answers" in dict(found.figures())


def test_answers_may_be_as_long_as_the_longest_label(model: Model, tmp_path: Path) -> None:
    labels = Labels(("files", "the quick brown fox jumps over the lazy dog, 0123456789 times"))
    test = write(tmp_path / "test.jsonl", ROWS)
    longest = len(model.tokenizer.encode_text(labels.answers[1]))
    assert evaluate(model, test, calibration_rows=0, constrain=labels).max_new_tokens == longest
    with pytest.raises(InputError, match="an answer may have 3"):
        evaluate(model, test, calibration_rows=0, max_new_tokens=3, constrain=labels)
