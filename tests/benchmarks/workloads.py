"""The rows that are measured: what is trained on, how many rows a step, and where they come from.

(a) rows of equal length with nothing to share, (b) rows under one long system prompt, (c) short structured answers,
(d) the rows of (a) with every weight trained.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Length = Callable[[Row], int]

EQUAL_LENGTH = 512
MAX_LENGTH = 1024
_SYSTEM_WORDS = 8
_ANSWER_WORDS = 100
_FILLER = "and"


@dataclass(frozen=True)
class Workload:
    """A measured set of rows, and how they are trained on.

    `folder` is where --data holds the rows; None for rows that are always generated. `method` is "lora" or "full".
    """

    key: str
    name: str
    rows_per_step: int
    folder: str | None = None
    method: str = "lora"
    learning_rate: float = 2e-4


WORKLOADS = (
    Workload("a", f"equal length ({EQUAL_LENGTH} tokens), nothing shared", 8),
    Workload("b", "classify: one long system prompt", 16, "classify"),
    Workload("c", "extract: short system prompt, JSON answers", 16, "extract"),
    Workload("d", "full fine-tuning on the rows of (a)", 8, method="full", learning_rate=2e-5),
)


def build_rows(workload: Workload, data: Path | None, count: int, length: Length) -> tuple[list[Row], str]:
    """The first `count` chat rows of at most 1024 tokens, and where they come from. `length` counts a row's tokens.

    Raises ValueError when there are fewer.
    """
    source, candidates = _candidates(workload, data, count, length)
    rows: list[Row] = []
    for row in candidates:
        if length(row) <= MAX_LENGTH:
            rows.append({"messages": row["messages"]})
        if len(rows) == count:
            return rows, source
    raise ValueError(f"{source}: {len(rows)} rows of at most {MAX_LENGTH} tokens, {count} are needed")


def _candidates(workload: Workload, data: Path | None, count: int, length: Length) -> tuple[str, Iterator[Row]]:
    if workload.folder is None:
        return "passages of Python's own documentation", equal_length_rows(count, EQUAL_LENGTH, length)
    path = None if data is None else data / workload.folder / "train.jsonl"
    if path is not None and path.is_file():
        return f"{workload.folder}/train.jsonl", (json.loads(line) for line in path.open(encoding="utf-8"))
    if workload.key == "b":
        from luthier.demo.sort import sort_rows

        return "the demo 'sort'", iter(_shuffled(sort_rows()))
    from luthier.demo.functions import function_rows

    return "the demo 'functions'", iter(_shuffled(function_rows()))


def _shuffled(rows: list[Row]) -> list[Row]:
    random.Random(0).shuffle(rows)
    return rows


def equal_length_rows(count: int, target: int, length: Length) -> Iterator[Row]:
    """Chat rows of exactly `target` tokens that differ from the first word on: passages of the language reference.

    Each row continues a passage: its beginning is the prompt, what follows is the answer (about a quarter of the
    tokens). Raises ValueError where a row cannot be brought to the length.
    """
    words = _documentation_words()
    stride = max(target, len(words) // max(count, 1))
    for index in range(count):
        start = index * stride % len(words)
        passage = (words[start:] + words[:start])[: target + _ANSWER_WORDS + _SYSTEM_WORDS]
        yield _row_of_length(passage, target, length)


def _row_of_length(passage: list[str], target: int, length: Length) -> Row:
    def row(taken: int, fillers: int = 0) -> Row:
        user_end = _SYSTEM_WORDS + taken
        contents = (
            passage[:_SYSTEM_WORDS],
            passage[_SYSTEM_WORDS:user_end] + [_FILLER] * fillers,
            passage[user_end : user_end + _ANSWER_WORDS],
        )
        roles = ("system", "user", "assistant")
        return {"messages": [{"role": role, "content": " ".join(text)} for role, text in zip(roles, contents)]}

    low, high = 1, target  # the most words that stay within the length; more words are never fewer tokens
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if length(row(middle)) <= target else (low, middle - 1)
    for taken in range(low, max(low - 20, 0), -1):  # the answer's words move with `taken`, and may be longer
        filled = row(taken, max(target - length(row(taken)), 0))
        if length(filled) == target:
            return filled
    raise ValueError(f"a passage from {' '.join(passage[:4])!r} cannot be brought to {target} tokens")


def _documentation_words() -> list[str]:
    from pydoc_data.topics import topics

    text = " ".join(topics[name] for name in sorted(topics))
    return re.findall(r"(?<!\S)[A-Za-z]+[.,]?(?!\S)", text)
