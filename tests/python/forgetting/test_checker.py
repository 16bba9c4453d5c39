"""The rules that answers are checked by."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.forgetting.checker import checker_from


@pytest.mark.parametrize(
    ("check", "answer", "right"),
    [
        ({"kind": "exact", "value": "Hello, world!"}, ' "hello,  world" ', True),
        ({"kind": "exact", "value": "Hello"}, "Hello there", False),
        ({"kind": "one_of", "value": ["top", "pot"]}, "Top.", True),
        ({"kind": "one_of", "value": ["top"]}, "stop", False),
        ({"kind": "contains", "value": ["Rome"]}, "The capital is rome.", True),
        ({"kind": "contains", "value": ["Rome"]}, "Romeo", False),
        ({"kind": "contains", "value": ["go-between"]}, "a go-between!", True),
        ({"kind": "contains", "value": ["yes"], "without": ["no"]}, "Yes, it is not.", True),
        ({"kind": "contains", "value": ["yes"], "without": ["no"]}, "No, yes.", False),
        ({"kind": "number", "value": 1200}, "It is 1,200.", True),
        ({"kind": "number", "value": 12}, "7 + 5 = 12\n13 is next", True),
        ({"kind": "number", "value": 12}, "The result of 7 and 12 is 19", False),
        ({"kind": "number", "value": -3.5}, "-3.50", True),
        ({"kind": "number", "value": 3}, "three", False),
        ({"kind": "regex", "value": r"\bHELLO\b"}, "HELLO.", True),
        ({"kind": "regex", "value": r"\bHELLO\b"}, "hello", False),
        ({"kind": "json", "value": {"a": [1, True]}}, '```json\n{"a": [1.0, true]}\n```', True),
        ({"kind": "json", "value": {"a": 1}}, '{"a": true}', False),
        ({"kind": "json", "value": None}, "", False),
    ],
)
def test_an_answer_is_judged(check: dict[str, Any], answer: str, right: bool) -> None:
    assert checker_from(check, "here").is_right(answer) is right


@pytest.mark.parametrize(
    "check",
    [
        None,
        "exact",
        {"kind": "exact"},
        {"kind": "guess", "value": "a"},
        {"kind": "exact", "value": 3},
        {"kind": "number", "value": "3"},
        {"kind": "number", "value": True},
        {"kind": "contains", "value": "word"},
        {"kind": "contains", "value": [""]},
        {"kind": "one_of", "value": ["a"], "without": [3]},
        {"kind": "regex", "value": "("},
        {"kind": "exact", "value": "a", "wihtout": []},
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(check: object) -> None:
    with pytest.raises(InputError, match=r"^suite\.jsonl:3: "):
        checker_from(check, "suite.jsonl:3")


@given(st.text(), st.sampled_from(["exact", "number", "contains", "json"]))
def test_any_answer_can_be_judged(answer: str, kind: str) -> None:
    value: Any = {"exact": "x", "number": 1, "contains": ["x"], "json": {}}[kind]
    assert checker_from({"kind": kind, "value": value}, "here").is_right(answer) in (True, False)
