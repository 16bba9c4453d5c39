"""The tokens of an answer as a model learns it: behind a prompt, in the words of its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.records import Message, Record

if TYPE_CHECKING:
    from luthier.text.encode import ChatEncoder, EncodedRow


def answered(record: Record, answers: Sequence[str]) -> list[Record]:
    """The record with each of `answers` as its answer, which alone is supervised."""
    read = tuple(replace(message, weight=0.0) for message in record.prompt)
    return [replace(record, messages=(*read, Message("assistant", answer)), weight=1.0) for answer in answers]


def label_tokens(encoder: ChatEncoder, record: Record, labels: Sequence[str]) -> list[list[int]]:
    """The tokens of each label as the answer to `record`, behind its prompt and up to the end of the turn: those that a
    model learns from a row with this answer. White space that the template or the tokenizer sets before an answer is
    part of them.

    Raises InputError for a record that cannot be encoded.
    """
    prompt = encoder.encode_prompt(record)
    rows = encoder.encode_rows(answered(record, labels))
    return [_tokens(encoder, prompt, row, label) for row, label in zip(rows, labels, strict=True)]


def _tokens(encoder: ChatEncoder, prompt: Sequence[int], row: EncodedRow, label: str) -> list[int]:
    if row.tokens[: len(prompt)] == list(prompt):
        learned = [i for i in range(len(prompt), len(row.tokens)) if row.weights[i]]
        last = learned[-1] + 1 if learned else len(prompt)
        end = next((i for i in learned if row.ends[i]), last)
        return row.tokens[len(prompt) : end]
    # The template writes a finished turn otherwise than the start of one; or the label's first characters would merge
    # with the prompt's last, and no model could write that merged token behind the prompt.
    own = [token for token, weight, end in zip(row.tokens, row.weights, row.ends) if weight and not end]
    if encoder.tokenizer.decode(own) == label:
        return own
    return encoder.tokenizer.encode_pieces([label], first=False)[0][0]
