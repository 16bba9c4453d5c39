"""Tool calls found in answers, and compared."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.evaluation.calls import Call, CallFigures, call_figures, find_calls, holds_calls, same_calls
from luthier.evaluation.tasks import detect_task

CALL = '{"name": "weather", "arguments": {"city": "Bonn", "days": 2}}'
PARIS = '{"name": "weather", "arguments": {"city": "Paris", "days": 2}}'
TIME = '{"name": "time", "arguments": {}}'


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"I look it up. {CALL}",
        f"[{CALL}]",
        json.dumps({"name": "weather", "arguments": json.dumps({"days": 2.0, "city": "Bonn"})}),
        json.dumps(
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "weather", "arguments": json.loads(CALL)["arguments"]},
            }
        ),
        json.dumps({"role": "assistant", "tool_calls": [{"function": json.loads(CALL)}]}),
        '{"name": "weather", "parameters": {"city": "Bonn", "days": 2}}',
        f"{{ broken {CALL}",
    ],
)
def test_a_call_is_found_however_it_is_written(text: str) -> None:
    assert find_calls(text) == [Call("weather", {"city": "Bonn", "days": 2})]
    assert same_calls(CALL, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no call",
        '{"name": "x"}',
        '{"name": 1, "arguments": {}}',
        '{"name": "x", "arguments": "text"}',
        "[1, 2]",
        '{"name": "x", "parameters": ["a"]}',
        '{"name": "f", "parameters": {}, "required": []}',
    ],
)
def test_what_is_no_call_is_not_one(text: str) -> None:
    assert find_calls(text) == []


@pytest.mark.parametrize("bracket", ["[", "{", '{"a":', '["'])
def test_a_huge_answer_of_brackets_is_searched_in_a_moment(bracket: str) -> None:
    assert find_calls(bracket * 10_000_000) == []


def test_the_figures_by_hand() -> None:
    expected = [CALL, CALL, CALL, f"{CALL}{TIME}", "It is noon."]
    predicted = [CALL, PARIS, TIME, f"{TIME}\n{CALL}", CALL]
    found = call_figures(expected, predicted)
    assert found.call_accuracy == pytest.approx(2 / 5)
    assert found.name_accuracy == pytest.approx(3 / 5)
    assert found.argument_accuracy == pytest.approx(2 / 3)
    # Arguments wanted: 4 times 2. Right: 2 + 1 + 0 + 2; extra: 0 + 1 + 0 + 0 + 2.
    assert found.arguments.recall == pytest.approx(5 / 8)
    assert found.arguments.precision == pytest.approx(5 / 8)
    assert CallFigures.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_an_answer_without_a_call_is_right_where_none_is_wanted() -> None:
    found = call_figures([CALL, "Hello."], ["none", "Anything."])
    assert (found.call_accuracy, found.name_accuracy, found.argument_accuracy) == (0.5, 0.5, 1.0)


def test_half_of_the_references_with_calls_make_a_task_of_calls() -> None:
    assert holds_calls([CALL, "Hello."])
    assert not holds_calls([CALL, "Hello.", "There."])
    assert not holds_calls([])
    assert detect_task([CALL, "Hello."]) == "call"
    assert detect_task(['{"name": "f", "parameters": [], "required": 0}']) == "extract"


@given(st.text(alphabet='{}[]",:ab1 \n\\') | st.text())
def test_any_text_can_be_searched(text: str) -> None:
    assert same_calls(text, text)
