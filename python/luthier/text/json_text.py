"""JSON as templates write it, also of text in which shadows stand for the characters of messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["Escapes", "json_text", "marked_by"]

Escapes = Mapping[int, tuple[str, str]]
"""By shadow: how JSON writes what it stands for, where that is not itself; in the second place in ASCII alone."""

_escapes: ContextVar[Escapes | None] = ContextVar("luthier_json_escapes", default=None)


@contextmanager
def marked_by(escapes: Escapes | None) -> Iterator[None]:
    """Within the block, `json_text` escapes shadows as the characters that they stand for."""
    token = _escapes.set(escapes)
    try:
        yield
    finally:
        _escapes.reset(token)


def json_text(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without the HTML escapes of Jinja's own filter, as Transformers gives it to templates."""
    escapes = _escapes.get()
    plain = ensure_ascii and escapes is None
    text = json.dumps(value, ensure_ascii=plain, indent=indent, separators=separators, sort_keys=sort_keys)
    if not escapes:
        return text
    if not ensure_ascii:
        return text.translate({shadow: lax for shadow, (lax, _) in escapes.items()})
    return "".join(
        escapes[ord(character)][1]
        if ord(character) in escapes
        else character
        if character.isascii()
        else json.dumps(character)[1:-1]
        for character in text
    )
