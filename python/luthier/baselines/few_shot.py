"""Prompts with similar training rows as examples: what a good prompt could reach without fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from luthier.baselines.retrieval import RowIndex
from luthier.records import Message, Record


@dataclass(frozen=True)
class FewShot:
    """Rows with examples before their question, and how many each got."""

    records: list[Record]
    examples: list[int]


def few_shot_records(
    rows: Sequence[Record],
    train: Sequence[Record],
    index: RowIndex,
    k: int,
    too_long: Callable[[Sequence[Record]], list[bool]],
) -> FewShot:
    """Each row with the `k` training rows nearest to it as turns after its system message, the nearest one last.

    `index` is over `train`. Where `too_long` says so of a row, the least similar example is taken away, until it fits
    or none is left.
    """
    nearest = index.nearest([row.question for row in rows], k)
    records = [with_examples(row, [train[i] for i in found]) for row, found in zip(rows, nearest, strict=True)]
    pending = list(range(len(rows)))
    while pending:
        flags = too_long([records[row] for row in pending])
        pending = [row for row, flag in zip(pending, flags, strict=True) if flag and nearest[row]]
        for row in pending:
            nearest[row].pop()
            records[row] = with_examples(rows[row], [train[i] for i in nearest[row]])
    return FewShot(records, [len(found) for found in nearest])


def with_examples(row: Record, examples: Sequence[Record]) -> Record:
    """The row with the turns of `examples`, which end with an answer each, between its system message and its own
    turns; the first example comes last."""
    system, own = _split(row)
    turns = [message for example in reversed(examples) for message in _split(example)[1]]
    shown = [replace(message, weight=0.0) for message in turns]
    return replace(row, messages=(*system, *shown, *own))


def _split(record: Record) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """The system message, if there is one, and the turns."""
    start = 1 if record.messages[0].role in ("system", "developer") else 0
    return record.messages[:start], record.messages[start:]
