"""Shadows: message text with every visible character replaced by a private one, so that content cannot be mistaken.

A template is rendered with shadows in place of the contents. Whatever then spells a control token was written by the
template alone, whatever the contents hold and whatever stands beside them; and the shadow of an assistant message shows
where its text went. Whitespace is left as it is, since templates strip it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

__all__ = ["Shadows"]

# Unicode's supplementary private-use planes.
# What escapes in JSON are made of.
_ESCAPES = '\\"/bfnrtu0123456789abcdef'
_PRIVATE = (range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))


class Shadows:
    """The shadows of the contents of one chat. `texts[i]` is that of content i and as long as it.

    `groups[i]` numbers the alphabet that content i is written in; contents with different groups have no private
    character in common as long as the private planes have room. `keep` matches text to leave as it is; `reserved`
    are characters that are not to be used. With `escaped`, `escapes` says how shadows are written in JSON, in shadows
    again. Raises ValueError where there are more different characters than room.
    """

    def __init__(
        self,
        contents: Sequence[str],
        groups: Sequence[int],
        *,
        reserved: str = "",
        keep: re.Pattern[str] | None = None,
        escaped: bool = False,
    ) -> None:
        everything = "".join(contents) + (_ESCAPES if escaped else "")
        visible = sorted(character for character in set(everything) if not character.isspace())
        private = list(_private(everything + reserved, len(visible) * (max(groups, default=0) + 1)))
        banks = len(private) // len(visible) if visible else 1
        if banks < 1:
            raise ValueError("more different characters than there are private ones")
        self.texts: list[str] = []
        self._back: dict[int, str] = {}
        tables: dict[int, dict[int, int]] = {}
        for content, group in zip(contents, groups):
            bank = group % banks
            if bank not in tables:
                used = private[bank * len(visible) : (bank + 1) * len(visible)]
                tables[bank] = {ord(character): code for character, code in zip(visible, used)}
                self._back.update({code: character for character, code in zip(visible, used)})
            table = tables[bank]
            if keep is None:
                self.texts.append(content.translate(table))
            else:
                self.texts.append(_translated(content, table, keep))
        self.escapes = _json_escapes(tables.values()) if escaped else {}

    def lifted(self, text: str) -> str:
        """The text with each private character turned back into the one that it stands for; as long as before."""
        return text.translate(self._back)


@lru_cache(maxsize=1 << 14)
def _in_json(character: int) -> tuple[str, str]:
    """A character as JSON writes it within a string, with other characters left alone and in ASCII alone."""
    text = chr(character)
    return json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]


def _json_escapes(tables: Iterable[dict[int, int]]) -> dict[int, tuple[str, str]]:
    """By shadow: how JSON writes it where that is not itself, with other characters left alone and in ASCII alone."""
    escapes: dict[int, tuple[str, str]] = {}
    for table in tables:
        for character, shadow in table.items():
            lax, strict = _in_json(character)
            if strict != chr(character):
                written = chr(shadow) if lax == chr(character) else lax.translate(table)
                escapes[shadow] = (written, strict.translate(table))
    return escapes


def _translated(content: str, table: dict[int, int], keep: re.Pattern[str]) -> str:
    parts: list[str] = []
    end = 0
    for match in keep.finditer(content):
        parts += (content[end : match.start()].translate(table), match.group())
        end = match.end()
    parts.append(content[end:].translate(table))
    return "".join(parts)


def _private(used: str, count: int) -> Iterator[int]:
    """Up to `count` private characters that do not occur in `used`."""
    taken = {ord(character) for character in set(used) if ord(character) >= _PRIVATE[0].start}
    for plane in _PRIVATE:
        for code in plane:
            if count == 0:
                return
            if code not in taken:
                yield code
                count -= 1
