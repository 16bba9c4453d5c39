"""Which encoding the bytes of a text that is not UTF-8 look like."""

from __future__ import annotations

import codecs

__all__ = ["guess_encoding"]

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LATIN = ("cp1252", "cp1250", "mac_roman", "cp437")
# The letters that the languages of an alphabet use most: random bytes give the others as often.
_ALPHABETS = {
    "cp1251": set("оеаинтсрвл"),
    "koi8_r": set("оеаинтсрвл"),
    "cp1253": set("αοιετσνηυρπκμλςάίέόή"),
    "cp1255": set("יוהלאתמרבנש"),
    "cp1256": set("اليمونرتبةعدسفهكق"),
}
# The encodings of two bytes, and the lead bytes of their common characters in the encoding beside them.
_EAST_ASIAN = {
    "shift_jis": ("euc_jp", 0xCF),
    "euc_jp": ("euc_jp", 0xCF),
    "gb18030": ("gb2312", 0xD7),
    "euc_kr": ("euc_kr", 0xC8),
    "big5": ("big5", 0xC6),
}
# The letters beyond ASCII that the languages written so use most, and punctuation that editors put in by themselves.
_COMMON = {
    "cp1252": set("äöüßÄÖÜéèêëàâçîïôûùñáíóúãõåæøÅÆØÉÈ’‘“”–—…€°§«»£¿¡"),
    "cp1250": set("ąćęłńóśźżŁŚŻěščřžýáíéúůďťňőűăâîşţ„”’–"),
}


def guess_encoding(start: bytes, sample: bytes) -> str | None:
    """The name of the encoding that a file seems to have, as Python and iconv call it; None for UTF-8.

    `start` is the beginning of the file, `sample` holds lines with the bytes that are not UTF-8. A guess from the
    letters that each encoding would give: right for text of a sentence or more, a coin's toss for a single letter.
    """
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if start and start.count(0) * 4 >= len(start):
        return "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    try:
        sample.decode("utf-8")
        return None
    except UnicodeDecodeError:
        pass
    scores = {name: _score(sample, name) for name in (*_LATIN, *_ALPHABETS, *_EAST_ASIAN)}
    return max(scores, key=lambda name: scores[name])


def _score(sample: bytes, name: str) -> float:
    """How much the sample looks like this encoding: points for each character beyond ASCII."""
    text = sample.decode(name, "replace")
    if text.count("\ufffd") * (1000 if name in _EAST_ASIAN else 20) > sum(byte >= 128 for byte in sample):
        return -1e9
    points = 0.0
    before = ""
    for character in text:
        if character >= "\x80":
            points += _points(character, before, name)
        elif name not in _LATIN and character.isalpha() and before >= "\x80" and before.isalpha():
            # A letter of another alphabet within a Latin word.
            points -= 1.0
        before = character
    return points


def _points(character: str, before: str, name: str) -> float:
    """Two for a character of two bytes that is common, one for a common letter, less or nothing for what is rare."""
    if character < "\xa0" or character == "\ufffd":
        return -2.0
    within = before.isascii() and before.isalpha()
    if name in _EAST_ASIAN:
        return _points_of_pair(character, name) - (2.0 if within else 0.0)
    beside = before >= "\x80" and before.isalpha()
    changes_case = before.islower() and character.isupper()
    if name in _ALPHABETS:
        if not character.isalpha() or character < "\u0370":
            return -0.2
        common = 1.5 if character.lower() in _ALPHABETS[name] else 0.2
        shouted = beside and before.isupper() and character.isupper()
        return common - (1.0 if within or shouted else 0.0) - (2.0 if beside and changes_case else 0.0)
    if not character.isalpha():
        return 1.0 if character in _COMMON.get(name, ()) else -0.5
    return (
        (1.0 if character in _COMMON.get(name, ()) else 0.3) - (1.0 if beside else 0.0) - (1.0 if changes_case else 0.0)
    )


def _points_of_pair(character: str, name: str) -> float:
    if "\u3000" <= character <= "\u303f" or "\uff01" <= character <= "\uff5e":
        return 1.0
    if "\u3040" <= character <= "\u30ff":
        return 2.0 if name in ("shift_jis", "euc_jp") else 0.0
    if "\uac00" <= character <= "\ud7a3":
        return 2.0 if name == "euc_kr" else 0.0
    if not "\u4e00" <= character <= "\u9fff" or name == "euc_kr":
        return -1.0
    codec, last = _EAST_ASIAN[name]
    try:
        return 1.8 if character.encode(codec)[0] <= last else -0.5
    except UnicodeEncodeError:
        return -1.0
