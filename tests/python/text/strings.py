"""Seeded strings to compare tokenizers on: many scripts, emoji, control characters, long runs, spelled tokens."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Sequence

__all__ = ["strings"]

# First and last character of letters and syllables, by script.
_SCRIPTS = {
    "Latin": (0x61, 0x7A),
    "Latin capitals": (0x41, 0x5A),
    "Latin accented": (0xC0, 0x17F),
    "Vietnamese": (0x1EA0, 0x1EF9),
    "Greek": (0x391, 0x3C9),
    "Cyrillic": (0x410, 0x44F),
    "Armenian": (0x561, 0x586),
    "Hebrew": (0x5D0, 0x5EA),
    "Arabic": (0x627, 0x64A),
    "Devanagari": (0x904, 0x94D),
    "Bengali": (0x985, 0x9B9),
    "Tamil": (0xB85, 0xBB9),
    "Thai": (0xE01, 0xE3A),
    "Tibetan": (0xF40, 0xF6C),
    "Georgian": (0x10D0, 0x10F0),
    "Hangul": (0xAC00, 0xD7A3),
    "Ethiopic": (0x1200, 0x1248),
    "Khmer": (0x1780, 0x17B3),
    "Hiragana": (0x3041, 0x3096),
    "Katakana": (0x30A1, 0x30FA),
    "Han": (0x4E00, 0x9FA5),
    "Han beyond 16 bits": (0x20000, 0x2A6D6),
    "Gothic": (0x10330, 0x1034A),
    "mathematical": (0x1D400, 0x1D7CB),
}
_WORDS = ("the", "quick", "brown", "fox", "is", "not", "it's", "I'LL", "return", "naïve", "user", "assistant", "model")
_EMOJI = ("🙂", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇳🇴", "❤️", "1️⃣", "🧑🏿‍🚀", "☃", "♟️", "🫠")
_CONTROL = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))] + list(
    "\u200b\u200d\u200e\u202e\u2028\ufeff\ufffd\ufffe"
)
_SPACES = (" ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "▁")
_SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~…—“”«»„№€£¥©™°±×÷≤∑∞"
_CODE = (
    "def f(x):\n    return x + 1\n",
    '{"a": [1, 2.50, null]}',
    "<div class='x'>&amp;</div>",
    "a->b::c[d] != e",
    "<0x0A>",
)


def strings(spellings: Sequence[str] = (), count: int = 10_000, seed: int = 0) -> list[str]:
    """`count` strings, the same for the same arguments. `spellings` are texts of control tokens to put among them."""
    draw = random.Random(f"{seed} {sorted(spellings)}")
    kinds: list[Callable[[random.Random], str]] = [
        _word,
        _word,
        _script,
        _script,
        lambda draw: draw.choice(_EMOJI) * draw.choice((1, 1, 1, 5)),
        lambda draw: draw.choice(_CONTROL),
        lambda draw: " " * draw.choice((1, 1, 1, 2, 3, draw.randint(4, 80))),
        lambda draw: draw.choice(_SPACES) * draw.choice((1, 1, 2, 7)),
        lambda draw: "".join(draw.choices(_SIGNS, k=draw.randint(1, 6))),
        lambda draw: draw.choice((str(draw.randint(0, 10**9)), "3.14", "1,000", "٣٤٥", "½", "²")),
        lambda draw: draw.choice(_CODE),
        lambda draw: chr(draw.choice((draw.randint(0xE000, 0xF8FF), draw.randint(0xF0000, 0x10FFFD), 0x378, 0xE0001))),
    ]
    if spellings:
        kinds.append(lambda draw: _spelled(draw, spellings))
    found = ["", " ", "  ", "\n", "▁", "\0", *spellings]
    while len(found) < count:
        parts = [draw.choice(kinds)(draw) for _ in range(draw.randint(1, 12))]
        text = draw.choice(("", "", " ")).join(parts)
        found.append(unicodedata.normalize("NFD", text) if draw.random() < 0.1 else text)
    return found[:count]


def _word(draw: random.Random) -> str:
    return draw.choice(("", " ")) + draw.choice(_WORDS)


def _script(draw: random.Random) -> str:
    first, last = _SCRIPTS[draw.choice(sorted(_SCRIPTS))]
    return "".join(chr(draw.randint(first, last)) for _ in range(draw.randint(1, 8)))


def _spelled(draw: random.Random, spellings: Sequence[str]) -> str:
    """A control token's text, whole, cut, doubled or beside others."""
    text = draw.choice(spellings)
    cut = draw.randint(0, len(text))
    return draw.choice((text, text, text[:cut], text[cut:], text[:cut] + text, text + draw.choice(spellings)))
