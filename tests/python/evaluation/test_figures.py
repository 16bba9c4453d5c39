"""The figures of an evaluation against figures computed by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.evaluation.classes import classification, is_classification
from luthier.evaluation.compare import Comparison, compare
from luthier.evaluation.files import read_evaluation, write_evaluation
from luthier.evaluation.json_answers import are_json, json_figures, parse, same, schema_of
from luthier.evaluation.judge import judge
from luthier.evaluation.result import Evaluation
from luthier.evaluation.rules import Rule
from luthier.records import Message, Record

FACTS: dict[str, Any] = {"seconds": 1.5, "new_tokens": 7, "model": "m", "test": "t.jsonl", "max_new_tokens": 9}


def judged(pairs: list[tuple[str, str]], schema: dict[str, Any] | None = None, **more: Any) -> Evaluation:
    rows = [
        Record((Message("user", "q"), Message("assistant", expected)), file="t.jsonl", line=index + 1)
        for index, (expected, _) in enumerate(pairs)
    ]
    return judge(rows, [output for _, output in pairs], schema, **more, **FACTS)


def test_classes_by_hand() -> None:
    found = classification(["a", "a", "a", "b", "b", "c"], ["a", "a", "b", "b", "zzz", "a"])
    # a: 2 of 3 predicted right, 2 of 3 found. b: 1 of 2, 1 of 2. c: never predicted, 0 of 1.
    assert found.accuracy == pytest.approx(3 / 6)
    assert found.per_class["a"].precision == pytest.approx(2 / 3)
    assert found.per_class["a"].recall == pytest.approx(2 / 3)
    assert found.per_class["b"].f1 == pytest.approx(1 / 2)
    assert (found.per_class["c"].precision, found.per_class["c"].recall, found.per_class["c"].support) == (0, 0, 1)
    assert found.macro_precision == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.macro_recall == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found.labels == ["a", "b", "c"]
    assert found.confusion == [[2, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0]]


def test_a_reference_that_is_spelt_like_the_rest_keeps_its_rows() -> None:
    found = classification(["(other)", "x", "x"], ["(other)", "unknown", "x"])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.per_class["(other)"].precision == 1.0
    assert found.confusion == [[1, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["a", "b", "a", "b"], True),
        (["a", "b", "a"], False),
        (["a", "a", "a"], False),
        ([str(index % 51) for index in range(510)], False),
        ([str(index % 50) for index in range(100)], True),
        (["a\nb", "c", "a\nb", "c"], False),
    ],
)
def test_the_rule_for_few_distinct_answers(answers: list[str], expected: bool) -> None:
    assert is_classification(answers) is expected


def test_answers_are_compared_without_white_space_at_the_ends() -> None:
    evaluation = judged([("yes", " yes\n"), ("no", "No"), ("a b", "a  b")])
    assert [prediction.correct for prediction in evaluation.predictions] == [True, False, False]
    assert evaluation.exact_match == pytest.approx(1 / 3)
    assert evaluation.classification is None
    assert evaluation.json_figures is None
    first = json.loads(evaluation.predictions_jsonl().splitlines()[0])
    assert first == {"file": "t.jsonl", "line": 1, "expected": "yes", "output": " yes\n", "correct": True, "score": 1.0}


def test_accuracy_is_exact_match_where_answers_are_few() -> None:
    evaluation = judged([("yes", "yes"), ("no", "yes"), ("yes", " yes"), ("no", "maybe")])
    assert evaluation.classification is not None
    assert evaluation.classification.accuracy == evaluation.exact_match == 0.5
    values = evaluation.to_json()
    assert values["accuracy"] == 0.5
    assert values["confusion"] == {"labels": ["no", "yes", "(other)"], "counts": [[0, 1, 1], [0, 2, 0]]}
    assert values["per_class"]["yes"] == {
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
        "support": 2,
    }
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_json_answers_by_hand() -> None:
    reference = '{"a":1,"b":["x"]}'
    outputs = [
        reference,  # exact
        '{ "b": ["x"], "a": 1.0 }',  # equal, but 1.0 where the references have integers: still the integer 1 in JSON
        '{"a":2,"b":[]}',  # schema kept
        '{"a":"2","b":[]}',  # another type
        '{"a":2}',  # a key is missing
        '{"a":2,"b":[],"c":0}',  # a key too many
        '{"a":2,"b":[3]}',  # an item of another type
        '{"a":1,"b":["x"]',  # cut short
        '{"a":NaN,"b":["x"]}',  # not in the standard
        "[]",
    ]
    evaluation = judged([(reference, output) for output in outputs])
    assert evaluation.classification is None
    figures = evaluation.json_figures
    assert figures is not None
    assert figures.valid_json == pytest.approx(8 / 10)
    assert figures.schema_kept == pytest.approx(3 / 10)
    assert figures.json_equal == pytest.approx(2 / 10)
    assert evaluation.exact_match == pytest.approx(1 / 10)


def test_a_given_schema_decides() -> None:
    pairs = [('{"a":1}', '{"a":"text"}'), ('{"a":2}', '{"b":1}')]
    figures = judged(pairs, {"type": "object", "required": ["a"]}).json_figures
    assert figures is not None
    assert figures.schema_kept == 0.5
    with pytest.raises(InputError, match=r"JSON Schema is not valid"):
        json_figures(["{}"], ["{}"], {"type": "nonsense"})
    with pytest.raises(InputError, match=r"must be a JSON object"):
        json_figures(["{}"], ["{}"], ["no", "schema"])  # type: ignore[arg-type]


def test_the_schema_of_the_references() -> None:
    schema = schema_of([{"a": 1, "b": None}, {"a": 2.5, "b": "x", "c": [True]}])
    assert schema == {
        "type": ["object"],
        "properties": {
            "a": {"type": ["number"]},
            "b": {"type": ["null", "string"]},
            "c": {"type": ["array"], "items": {"type": ["boolean"]}},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    }


def test_equality_of_json_values() -> None:
    assert same({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert not same(True, 1)
    assert not same([False], [0])
    assert not same({"a": 1}, {"a": 1, "b": 2})
    assert not same([1, 2], [2, 1])
    assert not same("1", 1)


def test_only_objects_and_arrays_are_json_tasks() -> None:
    assert are_json(['{"a": 1}', "[]"])
    assert not are_json(["1", "2"])
    assert not are_json(['{"a": 1}', "text"])
    assert not are_json([])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(json_values, min_size=1, max_size=6))
def test_references_keep_their_own_schema_and_equal_themselves(values: list[Any]) -> None:
    texts = [json.dumps(value) for value in values]
    figures = json_figures(texts, texts)
    assert (figures.valid_json, figures.schema_kept, figures.json_equal) == (1.0, 1.0, 1.0)


@given(st.text())
def test_any_output_can_be_judged(output: str) -> None:
    parse(output)
    evaluation = judged([('{"a": 1}', output)])
    assert evaluation.json_figures is not None
    assert 0 <= evaluation.exact_match <= evaluation.json_figures.json_equal <= evaluation.json_figures.valid_json <= 1


def test_an_output_nested_too_deeply_is_not_valid() -> None:
    figures = json_figures(["[]"], ["[" * 100_000])
    assert figures.valid_json == 0


def test_an_evaluation_prints_and_shows_in_a_notebook() -> None:
    from rich.console import Console

    evaluation = judged([("<b>", "<b>"), ("[no]", "[no]"), ("<b>", "x"), ("[no]", "[no]")])
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(evaluation)
    text = console.export_text()
    assert "75.0%" in text
    assert "macro F1" in text
    assert "[no]" in text
    html = evaluation._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "exact match 75.0%" in repr(evaluation)


def test_an_evaluation_comes_back_from_its_file(tmp_path: Path) -> None:
    for pairs in (
        [("yes", "yes"), ("no", "yes"), ("yes", "maybe"), ("no", "no")],
        [('{"a": 1, "b": ["x"]}', '{"a": 1}'), ('{"a": 2}', "none")],
        [("One text.", "One text!"), ("Another.", "Other.")],
        [('{"name": "f", "arguments": {"a": 1}}', '{"name": "f", "arguments": {}}')],
    ):
        evaluation = judged(pairs, rules=[Rule("max_chars", "5")])
        write_evaluation(evaluation, tmp_path)
        assert read_evaluation(tmp_path) == evaluation


def test_an_older_evaluation_can_be_read() -> None:
    values = {"n": 2, "exact_match": 0.5, "valid_json": 1.0, "schema_kept": 1.0, "json_equal": 0.5, **FACTS}
    found = Evaluation.from_json(values)
    assert found.json_figures is not None and found.json_figures.json_equal == 0.5
    assert found.primary is None
    assert "equal as JSON 50.0%" in repr(found)


def test_a_damaged_evaluation_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"evaluation.json: there is no such file"):
        read_evaluation(tmp_path)
    for text in ("{", "[]", "{}", '{"n": 1}'):
        (tmp_path / "evaluation.json").write_text(text)
        (tmp_path / "predictions.jsonl").write_text("")
        with pytest.raises(InputError, match=r"evaluation.json: not the result"):
            read_evaluation(tmp_path)


def test_the_task_is_what_the_references_show_or_what_is_asked() -> None:
    assert judged([("a", "a"), ("b", "b"), ("a", "a"), ("b", "b")]).task == "classify"
    assert judged([('{"a": 1}', "")]).task == "extract"
    written = judged([("a text", "a text"), ("another", "")])
    assert (written.task, written.metric) == ("write", "mean_chrf")
    forced = judged([("a", "a"), ("b", "a")], task="classify")
    assert forced.classification is not None
    assert (forced.metric, forced.primary and forced.primary.value) == ("accuracy", 0.5)
    mixed = judged([('{"a": 1}', '{"a": 1}'), ("no facts", "no facts")], task="extract")
    assert mixed.json_figures is not None
    # A text that is no JSON is neither valid nor equal, even where the reference is the same text.
    assert (mixed.json_figures.valid_json, mixed.json_figures.json_equal) == (0.5, 0.5)
    with pytest.raises(InputError, match="there is no task 'sort'; there are classify, extract, write, call"):
        judged([("a", "a")], task="sort")
    with pytest.raises(InputError, match="no reference answer is a JSON object"):
        judged([("a", "a")], task="extract")


def test_the_primary_figure_has_an_interval() -> None:
    found = judged([("yes", "yes"), ("no", "yes")] * 20)
    assert found.primary is not None and found.exact_match_interval is not None
    assert found.primary == found.exact_match_interval
    assert found.primary.low < 0.5 < found.primary.high
    values = found.to_json()
    assert (values["task"], values["metric"]) == ("classify", "accuracy")
    assert values["primary"]["value"] == values["accuracy"] == 0.5


def test_two_systems_are_compared_on_the_same_rows() -> None:
    expected = ["a", "b"] * 30
    good = judged([(label, label) for label in expected])
    bad = judged([(label, label if index % 3 else "a") for index, label in enumerate(expected)])
    found = compare(good, bad, "good", "bad")
    assert [one.metric for one in found.differences] == ["accuracy", "macro_f1", "exact_match"]
    assert found.primary.difference == pytest.approx(10 / 60)
    assert 0 < found.primary.low < found.primary.difference < found.primary.high
    assert (found.exact_match.only_first, found.exact_match.only_second) == (10, 0)
    assert found.exact_match.p == pytest.approx(2 / 1024)
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert compare(good, good).primary.interval.to_json() == {"value": 0.0, "low": 0.0, "high": 0.0}
    as_text = judged([(one.expected, one.output) for one in bad.predictions], task="write")
    assert compare(good, as_text) == compare(good, bad)
    with pytest.raises(ValueError, match="not of the same rows"):
        compare(good, judged([("a", "a")]))
