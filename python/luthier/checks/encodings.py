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
_OTHER_ALPHABETS = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874")
_EAST_ASIAN = ("shift_jis", "euc_jp", "gb18030", "euc_kr", "big5")
# The letters beyond ASCII that the languages written so use most, and punctuation that editors put in by themselves.
_COMMON = {
    "cp1252": set("äöüßÄÖÜéèêëàâçîïôûùñáíóúãõåæøÅÆØÉÈ’‘“”–—…€°§«»£"),
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
    scores = {name: _score(sample, name) for name in (*_LATIN, *_OTHER_ALPHABETS, *_EAST_ASIAN)}
    return max(scores, key=lambda name: scores[name])


def _score(sample: bytes, name: str) -> float:
    """How much the sample looks like this encoding: points for each byte beyond ASCII."""
    try:
        text = sample.decode(name)
    except UnicodeDecodeError as error:
        # Single bytes that an encoding does not define cost; in encodings of two bytes an error rules it out.
        if name in _EAST_ASIAN:
            return -1e9
        text = sample.decode(name, "replace")
        if text.count("\ufffd") * 20 > sum(byte >= 128 for byte in sample) or error.start < 0:
            return -1e9
    points = 0.0
    before = ""
    for character in text:
        if character >= "\x80":
            points += _points(character, before, name)
        before = character
    # Two bytes make one character.
    return points * (2 if name in _EAST_ASIAN else 1)


def _points(character: str, before: str, name: str) -> float:
    if name in _EAST_ASIAN:
        return 1.0 if "\u3040" <= character <= "\u30ff" else 0.9 if _is_east_asian(character) else -1.0
    if character < "\xa0" or character == "\ufffd":
        return -2.0
    beside = before >= "\x80" and before.isalpha()
    if name in _OTHER_ALPHABETS:
        if not character.isalpha() or character < "\u0370":
            return -0.2
        # In these alphabets letters stand in words, and a word does not change to capitals within.
        return (1.5 if beside else 0.3) - (2.0 if beside and before.islower() and character.isupper() else 0.0)
    if not character.isalpha():
        return 0.8 if character in _COMMON.get(name, ()) else -0.5
    wrong_case = character.isupper() and before.islower()
    return (
        (1.0 if character in _COMMON.get(name, ()) else 0.3) - (1.0 if beside else 0.0) - (1.0 if wrong_case else 0.0)
    )


def _is_east_asian(character: str) -> bool:
    return (
        "\u3000" <= character <= "\u303f"
        or "\u4e00" <= character <= "\u9fff"
        or "\uac00" <= character <= "\ud7a3"
        or "\uff00" <= character <= "\uffef"
    )
