"""JSON Lines, read line by line: each row with its line number, or the reason why it cannot be used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NoReturn

from luthier.records.rows import BadRowError

__all__ = ["BYTE_ORDER_MARK", "decoded", "parsed", "parsed_lines"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parsed_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, object | BadRowError]]:
    """Each line that is not blank, with its 1-based number: the parsed value, or BadRowError with the reason."""
    for number, line in enumerate(lines, start=1):
        if number == 1 and line.startswith(BYTE_ORDER_MARK):
            line = line[len(BYTE_ORDER_MARK) :]
        if not line.strip():
            continue
        try:
            yield number, parsed(decoded(line))
        except BadRowError as error:
            yield number, error


def decoded(line: bytes) -> str:
    """The line as text. Raises BadRowError where it holds NUL bytes or is not UTF-8."""
    if b"\0" in line:
        raise BadRowError(f"a NUL byte at byte {line.index(0) + 1} of the line")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{line[error.start]:02x} at byte {error.start + 1} of the line"
        raise BadRowError(reason, "encoding") from None


def parsed(text: str) -> object:
    """The JSON value of one line. Raises BadRowError."""
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        hint = ""
        if text.strip() in ("[", "{"):
            hint = "; each line must hold one whole JSON object"
        raise BadRowError(f"not JSON: {error.msg} at character {error.pos + 1}{hint}") from None
    except RecursionError:
        raise BadRowError("not JSON that can be read: nested too deeply") from None
    except ValueError as error:
        raise BadRowError(f"not JSON: {error}") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
