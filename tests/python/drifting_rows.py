"""Rows of a made-up help desk, drawn from a seed, whose topics, lengths and labels can be shifted."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.records import Message, Record

TOPICS = {
    "billing": "invoice charge refund payment card amount month paid bill fee account twice wrong money".split(),
    "login": "password sign in account locked reset code email phone browser page error forgot link".split(),
    "delivery": "parcel courier late address street door box arrived missing track number week order".split(),
}
OTHER = "guitar chord melody rhythm concert stage drummer singer tune amplifier orchestra violin".split()
_COMMON = "the a my is was not and please to i you it with for on".split()


def draw(
    count: int,
    seed: int,
    shares: Sequence[float] = (1, 1, 1),
    words: tuple[int, int] = (8, 30),
    other: float = 0.0,
    file: str = "rows.jsonl",
) -> list[Record]:
    """`shares` are those of the topics, `words` the shortest and longest row, `other` the share of rows about music."""
    chance = random.Random(seed)
    rows = []
    for line in range(1, count + 1):
        topic = chance.choices(list(TOPICS), shares)[0]
        vocabulary = OTHER if chance.random() < other else TOPICS[topic]
        length = chance.randint(*words)
        text = " ".join(chance.choice(vocabulary if chance.random() < 0.6 else _COMMON) for _ in range(length))
        messages = (Message("system", "Name the topic.", 0.0), Message("user", text, 0.0), Message("assistant", topic))
        rows.append(Record(messages, file=file, line=line))
    return rows


def write_records(path: Path, records: Sequence[Record], **extra: Any) -> Path:
    """The rows as chat JSONL, each with the keys of `extra`."""
    rows = [
        {"messages": [{"role": message.role, "content": message.content} for message in record.messages], **extra}
        for record in records
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@dataclass(frozen=True)
class WatchCase:
    """A finished run and the file it was fitted on."""

    train: Path
    run: Path
    model: Path
