"""Which tokens keep a JSON Schema, by `llguidance`: a mask for each answer at each step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError, LuthierError
from luthier.generation.label_tokens import label_tokens
from luthier.generation.piece_vocabulary import PieceVocabulary

if TYPE_CHECKING:
    import torch

    from luthier.models.model import Model
    from luthier.records import Record

_OPTIONS: Any = {
    # Without a limit a small model may write spaces until its tokens are used up.
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{0,40}",
    "json_allow_general_unicode_escapes": True,
}


class SchemaMasks:
    """The constraint of one call of the core: a function that is asked for all unfinished answers at once."""

    def __init__(self, model: Model, record: Record, schema: Mapping[str, Any]) -> None:
        """`record` is one of those that are answered. Raises InputError where `llguidance` is missing, or cannot follow
        the schema or read the tokenizer."""
        grammar_of(schema)
        import llguidance

        size = int(model.decoder.config["vocabulary_size"])
        ends = sorted(model.encoder.end_ids)
        try:
            vocabulary = (
                model.tokenizer.to_json()
                if model.tokenizer.pieces is None
                else llguidance.TokenizerWrapper(PieceVocabulary(model.tokenizer, size, ends))
            )
            tokenizer = llguidance.LLTokenizer(vocabulary, n_vocab=size, eos_token=ends)
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"[constrain] llguidance cannot read the model's tokenizer: {_first_line(error)}"
            ) from None
        written = tokenizer.decode_str(label_tokens(model.encoder, record, ["{}"])[0])
        grammar = grammar_of(schema, written[: len(written) - len(written.lstrip())])
        # Texts of the user's do not belong into messages, nor warnings onto the terminal.
        limits = llguidance.LLParserLimits(verbose_errors=False)
        self._start = llguidance.LLMatcher(tokenizer, grammar, log_level=0, limits=limits)
        if self._start.is_error():
            raise InputError(f"[constrain] the schema cannot be followed: {_first_line(self._start.get_error())}")
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
            raise LuthierError(f"[constrain] llguidance gave up on an answer: {_first_line(failed.get_error())}")


def grammar_of(schema: Mapping[str, Any], leading: str = "") -> str:
    """The grammar of llguidance for JSON that keeps a JSON Schema, perhaps with the white space `leading` before it.

    Raises InputError where the package is missing, and for a schema that it cannot follow.
    """
    try:
        import llguidance
    except ImportError:
        raise InputError(
            "[constrain] a schema needs the package llguidance: pip install 'luthier[constrain]'"
        ) from None
    matcher = llguidance.LLMatcher
    try:
        if leading:
            own = json.dumps({"x-guidance": _OPTIONS, **schema})
            grammar = matcher.grammar_from_lark(
                f"start: SPACE? answer\nSPACE: {json.dumps(leading)}\nanswer: %json {own}"
            )
        else:
            grammar = matcher.grammar_from_json_schema(json.dumps(schema), overrides=_OPTIONS)
        failed, messages = matcher.validate_grammar_with_warnings(grammar)
    except (ValueError, TypeError, RecursionError) as error:
        failed, messages = True, [str(error)]
    if failed:
        raise InputError(
            f"[constrain] answers cannot be constrained to this JSON Schema: {_first_line(' '.join(messages))}"
        )
    return str(grammar)


def _threads() -> int:
    from luthier import _core

    return int(_core.threads())


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no reason given"
