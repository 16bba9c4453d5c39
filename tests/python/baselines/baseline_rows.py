"""Rows whose answer is in their words, for tests of the baselines."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.records import Message, Record
from tiny_model import chat

WORDS = {"files": "open close path folder disk", "mail": "send read letter inbox reply"}


def questions(count: int, start: int = 0) -> list[tuple[str, str]]:
    """(question, answer): each question has two words of its answer."""
    found = []
    for index in range(start, start + count):
        label = ["files", "mail"][index % 2]
        words = WORDS[label].split()
        found.append((f"{words[index % 5]} the {words[(index + 2) % 5]} {index}", label))
    return found


def records(pairs: list[tuple[str, str]], file: str = "rows.jsonl", system: str | None = None) -> list[Record]:
    """Rows in memory."""
    first = (Message("system", system, 0.0),) if system else ()
    return [
        Record((*first, Message("user", question, 0.0), Message("assistant", answer)), file=file, line=index + 1)
        for index, (question, answer) in enumerate(pairs)
    ]


def write_rows(path: Path, pairs: list[tuple[str, str]]) -> Path:
    """Rows in a file."""
    lines = [json.dumps({"messages": chat(question, answer)}) + "\n" for question, answer in pairs]
    path.write_text("".join(lines), encoding="utf-8")
    return path
