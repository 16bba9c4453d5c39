"""Text of strangers made fit to be shown: no control character, no half of a surrogate pair, no change of direction."""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


def visible(text: str) -> str:
    """The text with every character that cannot be seen, or that changes what is seen, shown as a sign; line breaks
    and tabs stay."""
    return _CONTROL.sub(_sign, text.replace("\r\n", "\n"))


def cut(text: str, most: int) -> str:
    """A visible text of at most `most` characters, which says how many it leaves out."""
    shown = visible(text[: most + 1])
    if len(text) <= most:
        return shown
    return f"{shown[:most]}… ({len(text) - most:,} characters more)"


def script_json(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _sign(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd"
