"""Fields of JSON answers, counted by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.evaluation.fields import FieldFigures, field_figures, field_overlap
from luthier.evaluation.metrics import row_scores
from luthier.evaluation.ratios import Overlap, total


def fields(expected: Any, predicted: Any) -> Overlap:
    return total(field_overlap(json.dumps(expected), json.dumps(predicted)).fields.values())


def items(expected: Any, predicted: Any) -> Overlap:
    return total(field_overlap(json.dumps(expected), json.dumps(predicted)).items.values())


def test_a_field_is_right_extra_or_missed() -> None:
    assert fields({"a": 1}, {"a": 1.0}) == Overlap(1, 0, 0)
    assert fields({"a": 1}, {"a": True}) == Overlap(0, 1, 1)
    assert fields({"a": 1}, {}) == Overlap(0, 0, 1)
    assert fields({}, {"a": 1}) == Overlap(0, 1, 0)
    assert fields({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == Overlap(1, 2, 1)


def test_null_and_an_empty_array_are_no_fields() -> None:
    assert fields({"a": None, "b": []}, {"b": []}) == Overlap()
    assert fields({"a": []}, {"a": ["x"]}) == Overlap(0, 1, 0)
    assert fields({"a": ["x"]}, {"a": None}) == Overlap(0, 0, 1)


def test_the_items_of_an_array_have_no_order_but_a_number() -> None:
    assert fields({"a": ["x", "y"]}, {"a": ["y", "x"]}) == Overlap(1, 0, 0)
    assert fields({"a": ["x", "x"]}, {"a": ["x"]}) == Overlap(0, 1, 1)
    assert items({"a": ["x", "x"]}, {"a": ["x", "y", "z"]}) == Overlap(1, 2, 1)
    assert items([1, 2], [2, 3]) == Overlap(1, 1, 1)
    assert items({"a": ["x"]}, {"a": "x"}) == Overlap(0, 1, 1)
    assert items({"a": [{"b": 1, "c": 2}]}, {"a": [{"c": 2, "b": 1}]}) == Overlap(1, 0, 0)


def test_an_answer_that_is_no_json_misses_every_field() -> None:
    found = field_overlap('{"a": 1, "b": ["x", "y"]}', "sorry")
    assert total(found.fields.values()) == Overlap(0, 0, 2)
    assert total(found.items.values()) == Overlap(0, 0, 2)


def test_the_averages_are_micro() -> None:
    found = field_figures(['{"a": 1, "b": 2, "c": 3}', '{"a": 1}'], ['{"a": 1, "b": 2, "c": 3}', '{"a": 2}'])
    assert (found.fields.precision, found.fields.recall, found.fields.f1) == (0.75, 0.75, 0.75)
    assert found.fields.support == 4
    assert found.items is None
    assert (found.per_field["a"].f1, found.per_field["b"].f1) == (0.5, 1.0)
    assert row_scores("extract", ['{"a": 1}', "{}"], ['{"a": 2}', "{}"]) == [0.0, 1.0]


def test_names_of_fields_are_keys_joined_by_dots() -> None:
    found = field_figures(['{"a": {"b": 1}}', "[1]"], ['{"a": {"b": 1}}', "[1]"])
    assert set(found.per_field) == {"a.b", "(answer)"}
    assert FieldFigures.from_json(json.loads(json.dumps(found.to_json()))) == found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
)


@given(json_values)
def test_an_answer_like_its_reference_has_every_field(value: Any) -> None:
    found = fields(value, value)
    assert found.extra == found.missed == 0
    assert found.f1 == 1.0


@given(json_values, json_values)
def test_to_swap_the_sides_is_to_swap_extra_and_missed(left: Any, right: Any) -> None:
    for count in (fields, items):
        there, back = count(left, right), count(right, left)
        assert (there.right, there.extra, there.missed) == (back.right, back.missed, back.extra)
        assert 0 <= there.f1 <= 1


@given(st.text())
def test_any_text_can_be_compared(text: str) -> None:
    assert total(field_overlap('{"a": 1}', text).fields.values()).right in (0, 1)


@pytest.mark.parametrize("depth", [900, 5000, 100_000])
def test_an_answer_nested_deeply_is_compared_or_has_no_fields(depth: int) -> None:
    text = '{"a":' * depth + "1" + "}" * depth
    assert total(field_overlap('{"b": 1}', text).fields.values()).missed == 1
    text = "[" * depth + "]" * depth
    assert total(field_overlap('{"b": 1}', text).fields.values()).missed == 1
