"""Counts over the tokens of all rows: lengths, what a length limit cuts, where prompt and answer would merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier.records.record import Record
    from luthier.text.encode import ChatEncoder, EncodedRow

__all__ = ["Cut", "TokenSurvey", "survey_tokens"]

_AT_ONCE = 256


@dataclass(frozen=True)
class Cut:
    """A row longer than the limit: its number, its tokens, and the supervised ones in all and beyond the limit."""

    row: int
    tokens: int
    supervised: int
    lost: int


@dataclass
class TokenSurvey:
    """`lengths` by row (0 for a refused one); `merged` are the rows whose prompt's tokens are no prefix of the row's;
    `refused` are those that the chat template refuses, with its reason."""

    lengths: list[int] = field(default_factory=list)
    cut: list[Cut] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def survey_tokens(rows: Sequence[Record], encoder: ChatEncoder, max_length: int) -> TokenSurvey:
    """Tokenises the rows some at a time and keeps the counts."""
    survey = TokenSurvey()
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        encoded, prompts = _encoded(some, encoder, start, survey)
        for number, (row, prompt) in enumerate(zip(encoded, prompts), start=start):
            if row is None or prompt is None:
                survey.lengths.append(0)
                continue
            survey.lengths.append(len(row.tokens))
            if len(row.tokens) > max_length:
                lost = sum(weight != 0 for weight in row.weights[max_length:])
                survey.cut.append(Cut(number, len(row.tokens), row.supervised_tokens, lost))
            if rows[number].reference is not None and row.tokens[: len(prompt)] != prompt:
                survey.merged.append(number)
    return survey


def _encoded(
    rows: Sequence[Record], encoder: ChatEncoder, start: int, survey: TokenSurvey
) -> tuple[Sequence[EncodedRow | None], Sequence[list[int] | None]]:
    try:
        return encoder.encode_rows(rows), encoder.encode_prompts(rows)
    except InputError:
        pass
    encoded: list[EncodedRow | None] = []
    prompts: list[list[int] | None] = []
    for number, row in enumerate(rows, start=start):
        try:
            encoded.append(encoder.encode_row(row))
            prompts.append(encoder.encode_prompt(row))
        except InputError as error:
            del encoded[len(prompts) :]
            encoded.append(None)
            prompts.append(None)
            survey.refused.append((number, str(error).removeprefix(f"{row.where}: ")))
    return encoded, prompts
