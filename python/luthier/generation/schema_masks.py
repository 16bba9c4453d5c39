"""Which tokens keep a JSON Schema, by `llguidance`: a mask for each answer at each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError, LuthierError
from luthier.generation.schema_grammar import start_of
from luthier.generation.schema_tokenizer import first_line, leading_space

if TYPE_CHECKING:
    import torch

    from luthier.models.model import Model
    from luthier.records import Record

__all__ = ["AnswerMask", "SchemaMasks"]


class SchemaMasks:
    """The constraint of one call of the core: a function that is asked for all unfinished answers at once."""

    def __init__(self, model: Model, record: Record, schema: Mapping[str, Any]) -> None:
        """`record` is one of those that are answered. Raises InputError where `llguidance` is missing, or cannot follow
        the schema or read the tokenizer."""
        self._start = start_of(model, schema, leading_space(model, record))
        import llguidance

        self._executor = llguidance.LLExecutor(num_threads=_threads())
        self._matchers: dict[int, Any] = {}

    def __call__(self, prompts: Sequence[int], tokens: Sequence[int], masks: torch.Tensor) -> None:
        """Sets row i of `masks`, [prompts, words] int32, to what the answer to prompt `prompts[i]` may go on with after
        `tokens[i]` (-1: the answer begins). Raises LuthierError where llguidance gives up on an answer."""
        known = self._matchers
        # Those that are not asked for are finished.
        self._matchers = {prompt: known.get(prompt) or self._start.deep_copy() for prompt in prompts}
        rows = []
        for row, (prompt, token) in enumerate(zip(prompts, tokens, strict=True)):
            matcher = self._matchers[prompt]
            if token >= 0:
                matcher.consume_token(token)
            rows.append((matcher, row))
        self._executor.unsafe_compute_mask_ptr(rows, masks.data_ptr(), 4 * masks.shape[1], len(rows))
        failed = next((matcher for matcher, _ in rows if matcher.is_error()), None)
        if failed is not None:
            raise LuthierError(f"[constrain] llguidance gave up on an answer: {first_line(failed.get_error())}")


class AnswerMask:
    """The mask of one answer, for a `DecodingWorker`."""

    def __init__(self, start: Any) -> None:
        """`start` is what `start_of` gave; it stays as it is."""
        self._matcher = start.deep_copy()

    def __call__(self, token: int) -> Sequence[int]:
        """Which tokens may follow the newest one (-1: the answer begins). Raises InputError where the schema turns out
        to be too much work."""
        if token >= 0:
            self._matcher.consume_token(token)
        mask = self._matcher.compute_bitmask()
        if self._matcher.is_error():
            reason = first_line(self._matcher.get_error())
            raise InputError(f"[constrain] the schema could not be followed to the end of the answer: {reason}")
        allowed: list[int] = memoryview(mask).cast("i").tolist()
        return allowed


def _threads() -> int:
    from luthier import _core

    return int(_core.threads())
