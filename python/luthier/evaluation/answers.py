"""A model's answers to the test rows: the one place where `evaluate` and the baselines decode."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.records import Record

if TYPE_CHECKING:
    from luthier.generation.constraint import Constraint
    from luthier.models.model import Model

_MARGIN = 1.25
_EXTRA = 8

Progress = Callable[[int, int], None]
"""Hears (rows finished, rows)."""


@dataclass(frozen=True)
class Answers:
    """What a model answered to rows, and what that took."""

    outputs: list[str]
    seconds: float
    new_tokens: int
    prompt_tokens: int
    model: str
    max_new_tokens: int

    def facts(self) -> dict[str, Any]:
        """The fields of Evaluation that say how the outputs came about."""
        names = ("seconds", "new_tokens", "prompt_tokens", "model", "max_new_tokens")
        return {name: getattr(self, name) for name in names}


def answer_rows(
    model: Model,
    rows: Sequence[Record],
    max_new_tokens: int | None = None,
    on_progress: Progress | None = None,
    constraint: Constraint | None = None,
) -> Answers:
    """The model's greedy answers to rows, each without its last assistant message.

    `max_new_tokens` defaults to `longest_answer`; `constraint` says what answers may be. Raises InputError for a prompt
    that leaves no room for an answer, and for a constraint that the model cannot keep.
    """
    if max_new_tokens is None:
        max_new_tokens = longest_answer(model, rows, constraint)
    start = time.perf_counter()
    tokens = model.answer_tokens(
        rows,
        max_new_tokens,
        on_done=None if on_progress is None else lambda done: on_progress(done, len(rows)),
        constraint=constraint,
    )
    seconds = time.perf_counter() - start
    return Answers(
        outputs=[model.tokenizer.decode(answer) for answer in tokens],
        seconds=seconds,
        new_tokens=sum(map(len, tokens)),
        prompt_tokens=sum(map(len, model.encoder.encode_prompts(rows))),
        model=model.source.name if model.adapter is None else f"{model.source.name} with {model.adapter.summary}",
        max_new_tokens=max_new_tokens,
    )


def longest_answer(model: Model, rows: Sequence[Record], constraint: Constraint | None = None) -> int:
    """How many tokens an answer may have by default: the longest reference, a quarter more, and 8; as many as the
    longest label that answers are constrained to, if that is more."""
    longest = int(max(len(model.tokenizer.encode_text(reference(record))) for record in rows) * _MARGIN) + _EXTRA
    return longest if constraint is None else max(longest, constraint.longest(model, rows) or 0)


def reference(record: Record) -> str:
    """The answer to compare with. Raises InputError where the row has none."""
    if record.reference is None:
        raise InputError(f"{record.where}: the row does not end with an assistant message to compare with")
    return record.reference
