"""From the messages of a parsed row, in the form of chats or of ShareGPT, to typed messages in a sound order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from luthier.records.lines import parsed
from luthier.records.record import Message
from luthier.records.tools import call_from, tool_calls
from luthier.records.values import BadRowError, answer, kind, text, weight

__all__ = ["Purpose", "check_order", "message_list"]

Purpose = Literal["train", "prompt"]

_ROLES = ("system", "developer", "user", "assistant", "tool")
_SPEAKERS = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "assistant": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
    "function_call": "function_call",
}
"""What ShareGPT rows write under `from`, and the role that it stands for."""


def message_list(value: object, key: str) -> list[Message]:
    """The messages of a list: {"role", "content"} or {"from", "value"} each. Raises BadRowError."""
    if not isinstance(value, list):
        raise BadRowError(f"`{key}` is {kind(value)}, not a list")
    if not value:
        raise BadRowError(f"`{key}` is empty")
    return [_message(item, f"{key}[{index}]") for index, item in enumerate(value)]


def _message(item: object, where: str) -> Message:
    if not isinstance(item, dict):
        raise BadRowError(f"{where} is {kind(item)}, not an object with `role` and `content`")
    if item.get("role") is None and item.get("from") is not None:
        return _spoken(item, where)
    role = item.get("role")
    if role is None:
        raise BadRowError(f"{where} has no `role`")
    if role == "function":  # of the old form
        role = "tool"
    if not isinstance(role, str) or role not in _ROLES:
        shown = repr(role) if isinstance(role, str) else kind(role)
        raise BadRowError(f"{where} has the role {shown}; known roles are {', '.join(_ROLES)}")
    return _typed(role, item, "content", where)


def _spoken(item: Mapping[str, Any], where: str) -> Message:
    """A message in the form of ShareGPT."""
    speaker = item["from"]
    role = _SPEAKERS.get(speaker.lower()) if isinstance(speaker, str) else None
    if role is None:
        shown = repr(speaker) if isinstance(speaker, str) else kind(speaker)
        raise BadRowError(f"{where} is `from` {shown}; known are {', '.join(_SPEAKERS)}")
    if role != "function_call":
        return _typed(role, item, "value", where)
    try:
        calls = parsed(text(item.get("value"), f"{where}.value"))
    except BadRowError as error:
        raise BadRowError(f"{where}.value should be a call as JSON, but is {error}") from None
    listed = calls if isinstance(calls, list) else [calls]
    found = tuple(call_from(call, f"{where}.value") for call in listed)
    if not found:
        raise BadRowError(f"{where}.value holds no call")
    return Message("assistant", "", weight(item.get("weight"), f"{where}.weight"), found)


def _typed(role: str, item: Mapping[str, Any], key: str, where: str) -> Message:
    calls = tool_calls(item, where)
    if calls and role != "assistant":
        raise BadRowError(f"{where} has tool calls, which only assistant messages may have")
    content = _joined(item.get(key), f"{where}.{key}")
    if content is None and calls:
        content = ""
    elif key not in item:
        raise BadRowError(f"{where} has no `{key}`")
    given = item.get("weight")
    if role == "assistant":
        said = text(content, f"{where}.{key}", may_be_empty=True) if calls else answer(content, f"{where}.{key}")
        return Message(role, said, weight(given, f"{where}.weight"), calls)
    content = text(content, f"{where}.{key}", may_be_empty=role == "tool")
    if given not in (None, 0):
        raise BadRowError(f"{where} has a `weight`, which only assistant messages may have")
    if role != "tool":
        return Message(role, content, 0.0)
    name, id = item.get("name"), item.get("tool_call_id")
    return Message(
        role,
        content,
        0.0,
        name=None if name is None else text(name, f"{where}.name"),
        tool_call_id=None if id is None else text(str(id), f"{where}.tool_call_id"),
    )


def _joined(content: object, where: str) -> object:
    """The text of a content given as a list of parts, each {"type": "text", "text": ...}; anything else unchanged."""
    if not isinstance(content, list):
        return content
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise BadRowError(f"{where}[{index}] is not a text part; only text is supported")
        texts.append(part["text"])
    return "".join(texts)


_NEXT = {"user": ("assistant",), "assistant": ("user", "tool"), "tool": ("assistant", "tool")}


def check_order(messages: Sequence[Message], purpose: Purpose) -> None:
    """A system or developer message first, if any; then user and assistant in turn, starting with user.

    Between two assistant messages the answers of tools may stand instead. Raises BadRowError.
    """
    start = 1 if messages[0].role in ("system", "developer") else 0
    if len(messages) == start:
        raise BadRowError("there is no user message")
    wanted: tuple[str, ...] = ("user",)
    for index, message in enumerate(messages[start:]):
        if message.role not in wanted:
            where = f"message {start + index + 1} has the role {message.role!r}"
            if message.role in ("system", "developer"):
                raise BadRowError(f"{where}, which may only come first")
            due = "user" if message.role in ("assistant", "tool") and "user" in wanted else wanted[0]
            if message.role == "tool":
                raise BadRowError(f"{where} where {due!r} is due: a tool answers an assistant message")
            raise BadRowError(f"{where} where {due!r} is due: user and assistant take turns, user first")
        wanted = _NEXT[message.role]
    if purpose == "train" and messages[-1].role != "assistant":
        raise BadRowError("the last message is not from the assistant, so there is no answer to learn")
