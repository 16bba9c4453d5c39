"""Rows for the tests of checks, clean but for what a test plants in them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SYSTEM = "You sort letters to a shop. Answer with one of: billing, delivery, returns, account."
_TOPICS = {
    "billing": "invoice charge amount card refund payment receipt tax total price".split(),
    "delivery": "parcel courier address late tracking shipment door driver box arrive".split(),
    "returns": "broken exchange size colour replace faulty warranty label send back".split(),
    "account": "password login email profile settings sign username lock verify phone".split(),
}
LABELS = tuple(_TOPICS)
_FILLER = (
    "please could you tell me what happened with this since yesterday because we have been waiting for an answer from "
    "your team and would like to know when it will be done thank you very much for your help in the matter"
).split()


def letter(generator: random.Random, label: str, words: int = 24) -> str:
    """A text of a topic: a third of its words are the topic's, and a number makes it differ from all others."""
    chosen = [
        generator.choice(_TOPICS[label]) if generator.random() < 0.35 else generator.choice(_FILLER)
        for _ in range(words)
    ]
    return f"{' '.join(chosen)} {generator.randrange(10**6)}"


def chat(user: str, answer: str, system: str | None = SYSTEM) -> dict[str, Any]:
    """One row."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": [*messages, {"role": "user", "content": user}, {"role": "assistant", "content": answer}]}


def letters(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of classification with four labels in turn and nothing wrong with them."""
    generator = random.Random(seed)
    return [chat(letter(generator, LABELS[index % 4]), LABELS[index % 4]) for index in range(count)]


def write(path: Path, rows: Sequence[Any]) -> Path:
    """Rows as JSON lines; a row that is text or bytes is written as it is."""
    lines = []
    for row in rows:
        text = row if isinstance(row, str | bytes) else json.dumps(row, ensure_ascii=False)
        lines.append(text if isinstance(text, bytes) else text.encode("utf-8"))
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
