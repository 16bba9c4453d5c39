"""From one parsed row to a Record. A row that cannot be used raises BadRowError with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from luthier.records.record import BadKind, Message, Record

__all__ = ["BadRowError", "Purpose", "record_from_columns", "record_from_object"]

Purpose = Literal["train", "prompt"]

_ROLES = ("system", "developer", "user", "assistant")
_KNOWN_KEYS = frozenset({"messages", "prompt", "completion", "system", "weight"})
_TOOL_KEYS = ("tools", "functions")


class BadRowError(ValueError):
    """Why a row cannot be used; the reader adds the file and the line. `kind` is as in BadRow."""

    def __init__(self, reason: str, kind: BadKind = "unreadable") -> None:
        super().__init__(reason)
        self.kind: BadKind = kind


def record_from_object(
    row: object, *, file: str, line: int, purpose: Purpose = "train", system: str | None = None
) -> Record:
    """A record from a JSON object with `messages`, or with `prompt` and `completion` (and perhaps `system`).

    `system` is put first where the row has no system message. Raises BadRowError.
    """
    if not isinstance(row, dict):
        raise BadRowError(f"the row is {_kind(row)}, not a JSON object with `messages` or `prompt`")
    for key in _TOOL_KEYS:
        if row.get(key):
            raise BadRowError(f"`{key}`: tool calling is not supported yet")
    if "messages" in row:
        messages = _messages(row["messages"], "messages")
    elif "prompt" in row:
        messages = _prompt_and_completion(row, purpose)
    else:
        keys = ", ".join(f"`{key}`" for key in list(row)[:8]) or "none"
        raise BadRowError(f"neither `messages` nor `prompt` is among the row's keys ({keys})")
    return _record(messages, row, file, line, purpose, system)


def record_from_columns(
    row: Mapping[str, str],
    *,
    text: str,
    label: str | None,
    file: str,
    line: int,
    purpose: Purpose = "train",
    system: str | None = None,
) -> Record:
    """A record from a CSV row: the column `text` becomes the user message, `label` the answer. Raises BadRowError."""
    messages = [Message("user", _text(row[text], f"column `{text}`"), 0.0)]
    if label is not None and (purpose == "train" or row[label].strip()):
        messages.append(Message("assistant", _answer(row[label], f"column `{label}`")))
    ignored = {key: value for key, value in row.items() if key not in (text, label)}
    return _record(messages, row, file, line, purpose, system, ignored)


def _record(
    messages: list[Message],
    row: Mapping[str, Any],
    file: str,
    line: int,
    purpose: Purpose,
    system: str | None,
    extra: Mapping[str, Any] | None = None,
) -> Record:
    if system is not None and messages[0].role not in ("system", "developer"):
        messages.insert(0, Message("system", system, 0.0))
    _check_order(messages, purpose)
    if extra is None:
        extra = {key: value for key, value in row.items() if key not in _KNOWN_KEYS}
        weight = _weight(row.get("weight"), "`weight`")
    else:
        weight = 1.0
    return Record(tuple(messages), file=file, line=line, weight=weight, extra=extra, raw=row)


def _prompt_and_completion(row: Mapping[str, Any], purpose: Purpose) -> list[Message]:
    prompt = row["prompt"]
    if isinstance(prompt, list):
        messages = _messages(prompt, "prompt")
    else:
        messages = [Message("user", _text(prompt, "`prompt`"), 0.0)]
    if row.get("system") is not None:
        if messages[0].role in ("system", "developer"):
            raise BadRowError("both `system` and a system message in `prompt`")
        messages.insert(0, Message("system", _text(row["system"], "`system`"), 0.0))
    completion = row.get("completion")
    if completion is None or (purpose == "prompt" and completion == ""):
        if purpose == "train":
            raise BadRowError("`prompt` without `completion`", "empty-answer")
    elif isinstance(completion, list):
        messages += _messages(completion, "completion")
    else:
        messages.append(Message("assistant", _answer(completion, "`completion`")))
    return messages


def _messages(value: object, key: str) -> list[Message]:
    if not isinstance(value, list):
        raise BadRowError(f"`{key}` is {_kind(value)}, not a list")
    if not value:
        raise BadRowError(f"`{key}` is empty")
    return [_message(item, f"{key}[{index}]") for index, item in enumerate(value)]


def _message(item: object, where: str) -> Message:
    if not isinstance(item, dict):
        raise BadRowError(f"{where} is {_kind(item)}, not an object with `role` and `content`")
    role = item.get("role")
    if role is None:
        raise BadRowError(f"{where} has no `role`")
    if role in ("tool", "function") or item.get("tool_calls") or item.get("function_call"):
        raise BadRowError(f"{where}: tool calling is not supported yet")
    if role not in _ROLES:
        shown = repr(role) if isinstance(role, str) else _kind(role)
        raise BadRowError(f"{where} has the role {shown}; known roles are {', '.join(_ROLES)}")
    if "content" not in item:
        raise BadRowError(f"{where} has no `content`")
    read = _answer if role == "assistant" else _text
    content = read(_joined(item["content"], where), f"{where}.content")
    weight = item.get("weight")
    if role != "assistant":
        if weight not in (None, 0):
            raise BadRowError(f"{where} has a `weight`, which only assistant messages may have")
        return Message(role, content, 0.0)
    return Message(role, content, _weight(weight, f"{where}.weight"))


def _joined(content: object, where: str) -> object:
    """The text of a content given as a list of parts, each {"type": "text", "text": ...}; anything else unchanged."""
    if not isinstance(content, list):
        return content
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise BadRowError(f"{where}.content[{index}] is not a text part; only text is supported")
        texts.append(part["text"])
    return "".join(texts)


def _answer(value: object, where: str) -> str:
    """`_text` of what an assistant says; where it says nothing, the row is bad for that reason."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadRowError(f"{where} is {'null' if value is None else 'empty'}", "empty-answer")
    return _text(value, where)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise BadRowError(f"{where} is {_kind(value)}, not a string")
    if not value.strip():
        raise BadRowError(f"{where} is empty")
    if "\0" in value:
        raise BadRowError(f"{where} holds a NUL character at {value.index(chr(0))}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRowError(f"{where} holds half of a surrogate pair at character {error.start}") from None
    return value


def _weight(value: object, where: str) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadRowError(f"{where} is {_kind(value)}, not a number")
    try:
        weight = float(value)
    except OverflowError:
        weight = math.inf
    if not math.isfinite(weight) or weight < 0:
        raise BadRowError(f"{where} is {value}; it must be a finite number that is not negative")
    return weight


def _check_order(messages: Sequence[Message], purpose: Purpose) -> None:
    """A system or developer message first, if any; then user and assistant in turn, starting with user."""
    start = 1 if messages[0].role in ("system", "developer") else 0
    if len(messages) == start:
        raise BadRowError("there is no user message")
    for index, message in enumerate(messages[start:]):
        wanted = "assistant" if index % 2 else "user"
        if message.role != wanted:
            where = f"message {start + index + 1} has the role {message.role!r}"
            if message.role in ("system", "developer"):
                raise BadRowError(f"{where}, which may only come first")
            raise BadRowError(f"{where} where {wanted!r} is due: user and assistant take turns, user first")
    if purpose == "train" and messages[-1].role != "assistant":
        raise BadRowError("the last message is not from the assistant, so there is no answer to learn")
    if len(messages) == start + 1 and messages[-1].role == "assistant":
        raise BadRowError("there is no user message")


def _kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
