"""Tools and the calls of them, as rows write them: the present form, the old one, and either as JSON in a string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.records.lines import parsed
from luthier.records.record import ToolCall
from luthier.records.values import BadRowError, check_strings, kind, text

__all__ = ["call_from", "tool_calls", "tools"]


def tools(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The tools of a row: its `tools`, or the old `functions`; a list of objects, or that list as JSON in a string.

    Each comes back as {"type": "function", "function": {...}}. Raises BadRowError.
    """
    key = "tools" if row.get("tools") else "functions"
    value = _value(row.get(key) or None, f"`{key}`")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRowError(f"`{key}` is {kind(value)}, not a list")
    return tuple(_tool(_value(item, f"{key}[{index}]"), f"{key}[{index}]") for index, item in enumerate(value))


def tool_calls(message: Mapping[str, Any], where: str) -> tuple[ToolCall, ...]:
    """The calls of an assistant message: `tool_calls`, or the old `function_call`. Raises BadRowError."""
    calls = _value(message.get("tool_calls") or None, f"{where}.tool_calls")
    old = _value(message.get("function_call") or None, f"{where}.function_call")
    if calls is not None and old is not None:
        raise BadRowError(f"{where} has both `tool_calls` and `function_call`")
    if old is not None:
        return (call_from(old, f"{where}.function_call"),)
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise BadRowError(f"{where}.tool_calls is {kind(calls)}, not a list")
    return tuple(call_from(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls))


def call_from(value: object, where: str) -> ToolCall:
    """One call: {"id", "function": {"name", "arguments"}}, or {"name", "arguments"} alone. Raises BadRowError."""
    call = _object(_value(value, where), where)
    id = call.get("id")
    if call.get("function") is not None:
        where = f"{where}.function"
        call = _object(call["function"], where)
    name = text(call.get("name"), f"{where}.name")
    return ToolCall(name, _arguments(call.get("arguments"), f"{where}.arguments"), None if id is None else str(id))


def _arguments(value: object, where: str) -> dict[str, Any]:
    """Arguments as an object, given as one or as its JSON; none at all where a tool takes none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    found = _object(_value(value, where), where)
    check_strings(found, where)
    return found


def _tool(value: object, where: str) -> dict[str, Any]:
    tool = _object(value, where)
    check_strings(tool, where)
    if tool.get("function") is None:
        tool = {"type": "function", "function": tool}
    text(_object(tool["function"], f"{where}.function").get("name"), f"{where}.function.name")
    return {"type": "function", **tool}


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRowError(f"{where} is {kind(value)}, not an object")
    return value


def _value(value: object, where: str) -> object:
    """The value, read from JSON where it is a string."""
    if not isinstance(value, str):
        return value
    try:
        return parsed(value)
    except BadRowError as error:
        raise BadRowError(f"{where} is a string that is {error}") from None
