"""Values of a parsed row, checked: text, weights, and what a value is called in a message."""

from __future__ import annotations

import math

from luthier.records.record import BadKind

__all__ = ["BadRowError", "answer", "check_strings", "kind", "text", "weight"]

_DEEPEST = 64


class BadRowError(ValueError):
    """Why a row cannot be used; the reader adds the file and the line. `kind` is as in BadRow."""

    def __init__(self, reason: str, kind: BadKind = "unreadable") -> None:
        super().__init__(reason)
        self.kind: BadKind = kind


def answer(value: object, where: str) -> str:
    """`text` of what an assistant says; where it says nothing, the row is bad for that reason."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise BadRowError(f"{where} is {'null' if value is None else 'empty'}", "empty-answer")
    return text(value, where)


def text(value: object, where: str, *, may_be_empty: bool = False) -> str:
    """The value as text. Raises BadRowError where it is no string, is empty, or cannot be written as UTF-8."""
    if not isinstance(value, str):
        raise BadRowError(f"{where} is {kind(value)}, not a string")
    if not may_be_empty and not value.strip():
        raise BadRowError(f"{where} is empty")
    if "\0" in value:
        raise BadRowError(f"{where} holds a NUL character at {value.index(chr(0))}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRowError(f"{where} holds half of a surrogate pair at character {error.start}") from None
    return value


def check_strings(value: object, where: str, depth: int = 0) -> None:
    """Raises BadRowError where a string inside a JSON value is not text, or the value is nested too deeply."""
    if depth > _DEEPEST:
        raise BadRowError(f"{where} is nested more than {_DEEPEST} deep")
    if isinstance(value, str):
        text(value, where, may_be_empty=True)
    elif isinstance(value, dict):
        for key, item in value.items():
            text(key, f"a key in {where}", may_be_empty=True)
            check_strings(item, where, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_strings(item, where, depth + 1)


def weight(value: object, where: str) -> float:
    """A weight of the loss; 1 where there is none. Raises BadRowError unless it is finite and not negative."""
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadRowError(f"{where} is {kind(value)}, not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or found < 0:
        raise BadRowError(f"{where} is {value}; it must be a finite number that is not negative")
    return found


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
