"""Control tokens: the tokens that only a template may write, and where they stand in a rendered chat."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["AddedToken", "ControlMatch", "ControlTokens"]

# The whitespace that the tokenizers library strips around a token: Unicode's, without the separators U+001C to U+001F.
_LEADING_SPACE = re.compile(r"[^\S\x1c-\x1f]*")
_TRAILING_SPACE = re.compile(r"[^\S\x1c-\x1f]*\Z")


@dataclass(frozen=True)
class AddedToken:
    """A token matched whole in text. `control`: only a template may write it; content never yields it.

    `lstrip` and `rstrip`: the token takes the whitespace on that side with it. `single_word`: it counts only
    between characters that are not part of a word.
    """

    id: int
    text: str
    control: bool
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False

    @property
    def description(self) -> dict[str, Any]:
        """The token as configuration files describe it."""
        return {
            "content": self.text,
            "lstrip": self.lstrip,
            "normalized": False,
            "rstrip": self.rstrip,
            "single_word": self.single_word,
            "special": self.control,
        }


@dataclass(frozen=True)
class ControlMatch:
    """A control token in a text: `token` covers the characters [start, end), stripped whitespace included."""

    token: AddedToken
    start: int
    end: int


class ControlTokens:
    """The control tokens of a tokenizer, found in text as the tokenizers library finds them: leftmost, then longest.

    Other added tokens are given too: one that is longer than a control token and begins where it does comes first.
    """

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        tokens = [token for token in tokens if token.text]
        self.by_text = {token.text: token for token in tokens if token.control}
        self.ids = frozenset(token.id for token in self.by_text.values())
        control = _alternatives(self.by_text)
        others = {} if control is None else {t.text: t for t in tokens if not t.control and control.search(t.text)}
        self._all = self.by_text | others
        self._pattern = _alternatives(self._all)
        self.control_pattern = control
        written = {character for text in self.by_text for character in text}
        self._signs = {sign for sign in written if not (sign.isalnum() or sign.isspace() or sign == "_")}

    def find(self, text: str, *, beside: str | None = None) -> list[ControlMatch]:
        """Every control token written in `text`, in order. `beside` is the same text for judging word boundaries."""
        if self._pattern is None:
            return []
        beside = text if beside is None else beside
        matches: list[ControlMatch] = []
        for match in self._pattern.finditer(text):
            token = self._all[match.group()]
            start, end = match.span()
            if token.single_word and (_is_word(beside[max(start - 1, 0) : start]) or _is_word(beside[end : end + 1])):
                continue
            floor = matches[-1].end if matches else 0
            if token.lstrip:
                space = _TRAILING_SPACE.search(text, floor, start)
                start = start if space is None else space.start()
            if token.rstrip:
                space = _LEADING_SPACE.match(text, end)
                end = end if space is None else space.end()
            if token.control:
                matches.append(ControlMatch(token, max(start, floor), end))
        return matches

    def touches(self, text: str) -> bool:
        """Whether `text` holds a control spelling, is part of one, or could make one with what stands beside it."""
        for spelling in self.by_text:
            if spelling in text or text in spelling:
                return True
            for size in range(1, min(len(spelling), len(text))):
                if text.endswith(spelling[:size]) or text.startswith(spelling[-size:]):
                    return True
        return False

    def harmless(self, text: str) -> bool:
        """Whether no part of `text`, however it is cut and joined, helps to spell a control token.

        It has none of the signs that spellings are made of besides letters, digits, spaces and underscores, and is no
        word of one.
        """
        if not self._signs.isdisjoint(text):
            return False
        word = text.strip()
        return all(word not in spelling and spelling not in word for spelling in self.by_text)


def _alternatives(spellings: Iterable[str]) -> re.Pattern[str] | None:
    ordered = sorted(spellings, key=lambda text: (-len(text), text))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _is_word(character: str) -> bool:
    return bool(character) and (character.isalnum() or character == "_")
