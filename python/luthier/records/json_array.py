"""A file that is one JSON array of rows: each row with the line on which it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from luthier.errors import InputError
from luthier.records.lines import refuse_constant
from luthier.records.values import BadRowError

__all__ = ["parsed_array"]

_SPACE = re.compile(r"[ \t\r\n]*")


def parsed_array(content: bytes, *, file: str) -> Iterator[tuple[int, object | BadRowError]]:
    """Each item with its 1-based line. Raises InputError where the file is no array or breaks off."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}:{line}: not UTF-8: byte 0x{content[error.start]:02x}") from None
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    line, counted = 1, 0

    def fail(what: str, at: int) -> InputError:
        return InputError(f"{file}:{text.count(chr(10), 0, at) + 1}: not a JSON array of rows: {what}")

    position = _space(text, 0)
    if text[position : position + 1] != "[":
        raise fail("it does not start with '['", position)
    position = _space(text, position + 1)
    first = True
    while text[position : position + 1] != "]":
        if not first:
            if text[position : position + 1] != ",":
                raise fail("a comma or ']' is missing", position)
            position = _space(text, position + 1)
        first = False
        line += text.count("\n", counted, position)
        counted = position
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise fail(error.msg, error.pos) from None
        except RecursionError:
            raise fail("nested too deeply", position) from None
        except ValueError as error:
            raise fail(str(error), position) from None
        yield line, value
        position = _space(text, position)
    rest = _space(text, position + 1)
    if rest != len(text):
        raise fail("there is more behind it", rest)


def _space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()
