"""From a JSON Schema to where an answer that keeps it begins, by `llguidance`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.generation.deep_stack import on_deep_stack
from luthier.generation.schema_tokenizer import first_line, schema_tokenizer

if TYPE_CHECKING:
    from luthier.models.model import Model

__all__ = ["MOST_CHARACTERS", "check_schema", "start_of"]

MOST_CHARACTERS = 100_000
"""Of a schema as JSON. Those of people have some thousand, and llguidance recurses as deep as a chain of references
goes."""

_OPTIONS: Any = {
    # Without a limit a small model may write spaces until its tokens are used up.
    "whitespace_pattern": r"[\x20\x0A\x0D\x09]{0,40}",
    "json_allow_general_unicode_escapes": True,
}


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises InputError where `llguidance` is missing, and for a schema that it cannot follow."""
    on_deep_stack(lambda: _grammar_of(schema, ""))


def start_of(model: Model, schema: Mapping[str, Any], leading: str = "", most_items: int | None = None) -> Any:
    """The `llguidance.LLMatcher` before the first token of an answer that keeps `schema`, perhaps with the white space
    `leading` before it; each answer follows a copy. `most_items` bounds the work for one token.

    Raises InputError as `check_schema` does.
    """
    tokenizer = schema_tokenizer(model)

    def build() -> Any:
        grammar = _grammar_of(schema, leading)
        import llguidance

        # Texts of the user's do not belong into messages, nor warnings onto the terminal.
        limits = llguidance.LLParserLimits(verbose_errors=False, step_max_items=most_items)
        return llguidance.LLMatcher(tokenizer, grammar, log_level=0, limits=limits)

    start = on_deep_stack(build)
    if start.is_error():
        raise InputError(f"[constrain] the schema cannot be followed: {first_line(start.get_error())}")
    return start


def _grammar_of(schema: Mapping[str, Any], leading: str) -> str:
    try:
        import llguidance
    except ImportError:
        raise InputError(
            "[constrain] a schema needs the package llguidance: pip install 'luthier[constrain]'"
        ) from None
    matcher = llguidance.LLMatcher
    try:
        text = json.dumps({**schema, "x-guidance": _OPTIONS})
        if len(text) > MOST_CHARACTERS:
            raise InputError(
                f"[constrain] the JSON Schema has {len(text):,} characters; {MOST_CHARACTERS:,} at most are taken"
            )
        if leading:
            grammar = matcher.grammar_from_lark(
                f"start: SPACE? answer\nSPACE: {json.dumps(leading)}\nanswer: %json {text}"
            )
        else:
            grammar = matcher.grammar_from_json_schema(text)
        failed, messages = matcher.validate_grammar_with_warnings(grammar)
    except (ValueError, TypeError, RecursionError) as error:
        failed, messages = True, [str(error)]
    if failed:
        raise InputError(
            f"[constrain] answers cannot be constrained to this JSON Schema: {first_line(' '.join(messages))}"
        )
    return str(grammar)
