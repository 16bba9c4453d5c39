"""From what a Python user may write for a conversation to Records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from luthier.errors import InputError
from luthier.records import Record, Records, read
from luthier.records.rows import BadRowError, record_from_object

Conversation = str | Record | Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A text (one user message), a list of {"role", "content"} messages, a row as in a file, such as {"messages": [...],
"tools": [...]}, or a Record."""


def is_batch(given: Conversation | Sequence[Conversation]) -> bool:
    """Whether `given` is a list of conversations rather than one."""
    if isinstance(given, str | Record | Mapping):
        return False
    first = given[0] if len(given) > 0 else None
    return not (isinstance(first, Mapping) and ("role" in first or "from" in first))


def to_record(conversation: Conversation, index: int = 0) -> Record:
    """The Record of one prompt. Raises InputError that names conversation `index` and what is wrong with it."""
    if isinstance(conversation, Record):
        return conversation
    return _checked(
        {"prompt": conversation} if isinstance(conversation, str) else _row(conversation), index, train=False
    )


def training_records(rows: str | PathLike[str] | Records | Sequence[Conversation]) -> list[Record]:
    """Rows to train on, from a file, Records, or a list of conversations that each end with the assistant's answer.

    Raises InputError for a file that `records.read` refuses and for a conversation without an answer.
    """
    if isinstance(rows, str | PathLike):
        return list(read(Path(rows)))
    if isinstance(rows, Records):
        return list(rows)
    if not is_batch(rows):
        rows = [rows]  # type: ignore[list-item]
    return [row if isinstance(row, Record) else _training_record(row, index) for index, row in enumerate(rows)]


def _training_record(row: Conversation, index: int) -> Record:
    if isinstance(row, str | Record):
        raise InputError(f"row {index} is a text; to train on it, give messages that end with the assistant's answer")
    return _checked(_row(row), index, train=True)


def _row(conversation: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if isinstance(conversation, Mapping):
        return dict(conversation)
    return {"messages": [dict(item) for item in conversation]}


def _checked(row: Mapping[str, Any], index: int, train: bool) -> Record:
    try:
        return record_from_object(row, file="<memory>", line=index + 1, purpose="train" if train else "prompt")
    except BadRowError as error:
        raise InputError(f"row {index}: {error}") from None
