"""The rows that an export is tried with: prompts of the run's own data, rendered by its own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from luthier.errors import InputError
from luthier.records import Record, read

if TYPE_CHECKING:
    from luthier.delivery.subject import Subject
    from luthier.models.model import Model
    from luthier.text.encode import ChatEncoder

COUNT = 32
NEW_TOKENS = 16
LONGEST = 512
"""Longer prompts are only taken where there are too few others: they would cost time and show nothing more."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Prompts:
    """Rows with their token ids: `ids` up to where the model answers, `whole` with the answer of the row.

    `file` is where they came from, and `kind` what that file is: validation, training or given rows.
    """

    records: tuple[Record, ...]
    ids: tuple[list[int], ...]
    whole: tuple[list[int], ...]
    file: str
    kind: str

    def differing(self, encoder: ChatEncoder) -> list[str]:
        """The rows, as file:line, of which another tokenizer and template make other ids."""
        others = zip(encoder.encode_prompts(self.records), encoder.encode_rows(self.records), strict=True)
        own = zip(self.ids, self.whole, strict=True)
        return [
            record.where
            for record, (ids, whole), (other, other_whole) in zip(self.records, own, others, strict=True)
            if ids != other or whole != other_whole.tokens
        ]


def choose_prompts(model: Model, subject: Subject, rows: Path | None = None) -> Prompts:
    """32 rows spread evenly over a file: `rows`, else the run's validation file, else its training file.

    Raises InputError where there is none, or none whose prompt leaves room for an answer.
    """
    kind, path = ("given", rows) if rows is not None else _own(subject)
    some = _spread(list(read(path, **subject.reading)), 4 * COUNT)
    limit = int(model.decoder.config["max_positions"]) - NEW_TOKENS
    encoded = zip(some, model.encoder.encode_prompts(some), strict=True)
    fitting = [pair for pair in encoded if 0 < len(pair[1]) <= limit]
    short = [pair for pair in fitting if len(pair[1]) <= LONGEST]
    if len(short) >= COUNT:
        chosen = _spread(short, COUNT)
    else:
        places = sorted(range(len(fitting)), key=lambda place: len(fitting[place][1]))[:COUNT]
        chosen = [fitting[place] for place in sorted(places)]
    if not chosen:
        raise InputError(
            f"[export] {path}: no row has a prompt that leaves room for an answer; name others with --rows"
        )
    records = tuple(record for record, _ in chosen)
    whole = tuple(row.tokens for row in model.encoder.encode_rows(records))
    return Prompts(records, tuple(ids for _, ids in chosen), whole, str(path), kind)


def _own(subject: Subject) -> tuple[str, Path]:
    for kind, path in subject.rows:
        if path.exists():
            return kind, path
    where = ", ".join(str(path) for _, path in subject.rows) or "they were given in memory"
    raise InputError(
        f"[export] the rows of {subject.name} are not there ({where}), and an export is verified with some of them; "
        "name others with --rows FILE, or leave it unverified with --no-verify"
    )


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items at even distances."""
    if len(items) <= count:
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]
