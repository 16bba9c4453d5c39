"""How the keys of a row are read: which of them hold the messages, or the prompt and the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from luthier.records.messages import Purpose, message_list
from luthier.records.record import Message
from luthier.records.values import BadRowError, answer, kind, text

__all__ = ["FIELDS", "Columns", "columns_of", "fields_of", "messages_from"]

Columns = tuple[str, str | None]
"""The columns of the text and of the answer, the latter None where there is none."""

_COMMON = frozenset({"system", "tools", "functions", "weight"})
_CONVERSATIONS = ("conversations", "conversation")


def fields_of(row: Mapping[str, Any], purpose: Purpose = "train") -> str:
    """Which of `FIELDS` the keys of a row speak for. Raises BadRowError where they speak for none."""
    if row.get("messages") is not None:
        return "chat"
    if any(row.get(key) is not None for key in _CONVERSATIONS):
        return "sharegpt"
    if row.get("prompt") is not None:
        return "prompt"
    if row.get("instruction") is not None:
        return "alpaca"
    if row.get("text") is not None and (row.get("label") is not None or purpose == "prompt"):
        return "columns"
    for key, name in (("messages", "chat"), ("prompt", "prompt"), ("instruction", "alpaca"), ("text", "columns")):
        if key in row:  # there, but null: its reader says so
            return name
    keys = ", ".join(f"`{key}`" for key in list(row)[:8]) or "none"
    raise BadRowError(
        f"none of `messages`, `conversations`, `prompt`, `instruction` and `text` is among the row's keys ({keys}); "
        "name the keys with --text and --label"
    )


def messages_from(fields: str, row: Mapping[str, Any], purpose: Purpose, columns: Columns) -> list[Message]:
    """The messages of a row read as `fields`, without a system message that stands beside them. Raises BadRowError."""
    return FIELDS[fields](row, purpose, columns)


def columns_of(fields: str, columns: Columns) -> Mapping[str, str]:
    """Which keys make up the prompt and the answer, or the messages."""
    if fields == "columns":
        return {"prompt": columns[0]} | ({} if columns[1] is None else {"answer": columns[1]})
    return {
        "chat": {"messages": "messages"},
        "prompt": {"prompt": "prompt", "answer": "completion"},
        "alpaca": {"prompt": "instruction + input", "answer": "output"},
        "sharegpt": {"messages": "conversations"},
    }[fields]


def read_keys(fields: str, columns: Columns) -> frozenset[str]:
    """The keys that are read; the others are the row's own."""
    if fields == "columns":
        return frozenset(column for column in columns if column is not None)
    return (
        _COMMON
        | {
            "chat": {"messages"},
            "prompt": {"prompt", "completion"},
            "alpaca": {"instruction", "input", "output", "history"},
            "sharegpt": set(_CONVERSATIONS),
        }[fields]
    )


def _chat(row: Mapping[str, Any], purpose: Purpose, columns: Columns) -> list[Message]:
    return message_list(row.get("messages"), "messages")


def _sharegpt(row: Mapping[str, Any], purpose: Purpose, columns: Columns) -> list[Message]:
    key = next((key for key in _CONVERSATIONS if row.get(key) is not None), _CONVERSATIONS[0])
    return message_list(row.get(key), key)


def _prompt(row: Mapping[str, Any], purpose: Purpose, columns: Columns) -> list[Message]:
    prompt = row.get("prompt")
    messages = message_list(prompt, "prompt") if isinstance(prompt, list) else [_user(prompt, "`prompt`")]
    completion = row.get("completion")
    if isinstance(completion, list):
        return messages + message_list(completion, "completion")
    return messages + _answer(completion, "completion", "`prompt`", purpose)


def _alpaca(row: Mapping[str, Any], purpose: Purpose, columns: Columns) -> list[Message]:
    """`instruction`, an empty line and `input` make the question; `history` holds earlier [question, answer] pairs."""
    messages: list[Message] = []
    history = row.get("history") or []
    if not isinstance(history, list):
        raise BadRowError(f"`history` is {kind(history)}, not a list")
    for index, pair in enumerate(history):
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRowError(f"history[{index}] is not a pair of question and answer")
        messages.append(_user(pair[0], f"history[{index}][0]"))
        messages.append(Message("assistant", text(pair[1], f"history[{index}][1]")))
    question = text(row.get("instruction"), "`instruction`", may_be_empty=bool(row.get("input")))
    if row.get("input"):
        given = text(row["input"], "`input`", may_be_empty=True)
        question = "\n\n".join(part for part in (question, given) if part.strip())
    messages.append(_user(question, "`instruction` with `input`"))
    return messages + _answer(row.get("output"), "output", "`instruction`", purpose)


def _columns(row: Mapping[str, Any], purpose: Purpose, columns: Columns) -> list[Message]:
    question, column = columns
    messages = [_user(row.get(question), f"column `{question}`")]
    if column is None:
        return messages
    value = row.get(column)
    if isinstance(value, int | float):  # a class by its number, or true and false
        value = json.dumps(value)
    if purpose == "prompt" and (value is None or not str(value).strip()):
        return messages
    return [*messages, Message("assistant", answer(value, f"column `{column}`"))]


def _user(value: object, where: str) -> Message:
    return Message("user", text(value, where), 0.0)


def _answer(value: object, key: str, question: str, purpose: Purpose) -> list[Message]:
    if value is None or (purpose == "prompt" and value == ""):
        if purpose == "train":
            raise BadRowError(f"{question} without `{key}`", "empty-answer")
        return []
    return [Message("assistant", answer(value, f"`{key}`"))]


FIELDS: Mapping[str, Callable[[Mapping[str, Any], Purpose, Columns], list[Message]]] = MappingProxyType(
    {"chat": _chat, "prompt": _prompt, "alpaca": _alpaca, "sharegpt": _sharegpt, "columns": _columns}
)
"""The ways in which the keys of a row may be read, each with its reader."""
