"""Rows that call tools, in every form in which they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from luthier.errors import InputError
from luthier.records import Message, Record, ToolCall, read
from luthier.records.rows import BadRowError, record_from_object

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = {"role": "user", "content": "Is it wet in Oslo?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
CALLED = ToolCall("weather", {"city": "Oslo"}, "call_1")


def record(row: Any, purpose: Any = "train") -> Record:
    return record_from_object(row, file="rows.jsonl", line=1, purpose=purpose)


def refused(row: Any) -> str:
    with pytest.raises(BadRowError) as caught:
        record(row)
    return str(caught.value)


def calling(**keys: Any) -> dict[str, Any]:
    return {"messages": [QUESTION, {"role": "assistant", **keys}], "tools": [WEATHER]}


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [CALL]},
        {"content": None, "tool_calls": [CALL]},
        {"content": "", "tool_calls": [CALL]},
        {"tool_calls": [{**CALL, "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]},
        {"tool_calls": [{"id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}}]},
        {"tool_calls": json.dumps([CALL])},
        {"tool_calls": [json.dumps(CALL)], "function_call": None},
    ],
)
def test_calls_are_read_from_objects_and_from_strings(message: dict[str, Any]) -> None:
    found = record(calling(**message))
    assert found.messages[1] == Message("assistant", "", 1.0, (CALLED,))
    assert found.tools == (WEATHER,)
    assert found.extra == {}


def test_calls_may_stand_beside_content() -> None:
    found = record(calling(content="Let me see.", tool_calls=[CALL]))
    assert found.messages[1] == Message("assistant", "Let me see.", 1.0, (CALLED,))
    assert found.reference == 'Let me see.\n{"name": "weather", "arguments": {"city": "Oslo"}}'
    assert found.prompt == (Message("user", QUESTION["content"], 0.0),)


def test_the_old_form_of_functions_is_read_as_tools() -> None:
    row = {
        "messages": [
            QUESTION,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "weather", "arguments": '{"city": "Oslo"}'},
            },
            {"role": "function", "name": "weather", "content": "wet"},
            {"role": "assistant", "content": "Yes."},
        ],
        "functions": [WEATHER["function"]],
    }
    found = record(row)
    assert found.messages[1].tool_calls == (ToolCall("weather", {"city": "Oslo"}),)
    assert found.messages[2] == Message("tool", "wet", 0.0, name="weather")
    assert found.tools == (WEATHER,)


@pytest.mark.parametrize("tools", [[WEATHER["function"]], json.dumps([WEATHER]), [json.dumps(WEATHER)]])
def test_tools_come_in_one_form(tools: Any) -> None:
    assert record({**calling(tool_calls=[CALL]), "tools": tools}).tools == (WEATHER,)


@pytest.mark.parametrize("tools", [None, [], ""])
def test_no_tools_are_no_tools(tools: Any) -> None:
    row = {"messages": [QUESTION, {"role": "assistant", "content": "Yes.", "tool_calls": None}], "tools": tools}
    assert record(row).tools == ()
    assert record(row).messages[1] == Message("assistant", "Yes.")


def test_tools_answer_in_any_number_before_the_assistant_goes_on() -> None:
    messages = [
        QUESTION,
        {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": 7}]},
        {"role": "tool", "content": "wet", "name": "weather", "tool_call_id": "call_1"},
        {"role": "tool", "content": "", "tool_call_id": 7},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "dry"},
        {"role": "assistant", "content": "Both."},
    ]
    found = record({"messages": messages})
    assert found.messages[2] == Message("tool", "wet", 0.0, name="weather", tool_call_id="call_1")
    assert found.messages[3] == Message("tool", "", 0.0, tool_call_id="7")
    asked = record({"messages": messages[:-1]}, purpose="prompt")
    assert asked.reference is None and asked.prompt == asked.messages


def test_a_call_without_arguments_has_none() -> None:
    for arguments in ({}, "", "{}", None):
        call = {"function": {"name": "now", "arguments": arguments}}
        assert record(calling(tool_calls=[call])).messages[1].tool_calls == (ToolCall("now", {}),)


def test_sharegpt_rows_call_tools_too(tmp_path: Path) -> None:
    row = {
        "conversations": [
            {"from": "human", "value": "Is it wet in Oslo?"},
            {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Oslo"}}'},
            {"from": "observation", "value": "wet"},
            {"from": "gpt", "value": "Yes."},
        ],
        "system": "Be brief.",
        "tools": json.dumps([WEATHER["function"]]),
    }
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    records = read(path)
    assert [message.role for message in records[0].messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert records[0].messages[2].tool_calls == (ToolCall("weather", {"city": "Oslo"}),)
    assert records[0].tools == (WEATHER,)
    assert "weather" in repr(records) and "weather" in records._repr_html_()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (calling(content=None), "messages[1].content is null"),
        (calling(tool_calls=[]), "messages[1] has no `content`"),
        (calling(tool_calls=[{}]), "messages[1].tool_calls[0].name is null"),
        (calling(tool_calls=["weather"]), "tool_calls[0] is a string that is not JSON"),
        (calling(tool_calls={"name": "weather"}), "tool_calls is an object, not a list"),
        (calling(tool_calls=[{"function": "weather"}]), "tool_calls[0].function is a string, not an object"),
        (calling(tool_calls=[{"name": "weather", "arguments": "{city"}]), "arguments is a string that is not JSON"),
        (calling(tool_calls=[{"name": "weather", "arguments": "[1]"}]), "arguments is a list, not an object"),
        (calling(tool_calls=[{"name": "weather", "arguments": '{"a": NaN}'}]), "NaN is not a JSON number"),
        (calling(tool_calls=[{"name": "weather", "arguments": {"a": "b\0"}}]), "holds a NUL character"),
        (calling(tool_calls=[{"name": "weather", "arguments": {"\ud83d": 1}}]), "half of a surrogate pair"),
        (calling(tool_calls=[CALL], function_call={"name": "weather"}), "both `tool_calls` and `function_call`"),
        ({"messages": [{**QUESTION, "tool_calls": [CALL]}]}, "only assistant messages may have"),
        ({**calling(content="Yes."), "tools": "weather"}, "`tools` is a string that is not JSON"),
        ({**calling(content="Yes."), "tools": {"a": 1}}, "`tools` is an object, not a list"),
        ({**calling(content="Yes."), "tools": [{"type": "function"}]}, "tools[0].function.name is null"),
        ({**calling(content="Yes."), "tools": [4]}, "tools[0] is a number, not an object"),
        ({"messages": [QUESTION, {"role": "tool", "content": "wet"}]}, "a tool answers an assistant message"),
        (
            {"messages": [QUESTION, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "wet"}]},
            "no answer to learn",
        ),
        (
            {
                "messages": [
                    QUESTION,
                    {"role": "assistant", "tool_calls": [CALL]},
                    {"role": "tool", "content": "wet"},
                    QUESTION,
                    {"role": "assistant", "content": "x"},
                ]
            },
            "message 4 has the role 'user' where 'assistant' is due",
        ),
    ],
)
def test_wrong_calls_are_refused_with_their_reason(row: Any, words: str) -> None:
    assert words in refused(row)


def test_values_nested_beyond_reason_are_refused() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}
    assert "nested more than" in refused(calling(tool_calls=[{"name": "f", "arguments": deep}]))


def test_records_with_calls_can_be_hashed_and_compared() -> None:
    first, second = (record(calling(tool_calls=[CALL])) for _ in range(2))
    assert first == second and hash(first) == hash(second)
    assert first != record(calling(tool_calls=[{**CALL, "function": {"name": "weather", "arguments": {}}}]))


def test_a_conversation_in_python_may_call_tools() -> None:
    from luthier.models.conversations import to_record

    messages = [QUESTION, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "wet"}]
    assert to_record(messages).messages[1].tool_calls == (CALLED,)
    with pytest.raises(InputError, match="row 0"):
        to_record([QUESTION, {"role": "assistant", "tool_calls": 4}])
