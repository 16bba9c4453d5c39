"""An error as bytes of a fixed length, by which one process tells the others of its run why it failed."""

from __future__ import annotations

from typing import Final

from luthier.errors import InputError, LuthierError
from luthier.training.interrupts import EXIT_INTERRUPTED, Interrupted

LENGTH: Final = 2048
"""Bytes of a packed error; longer texts are cut."""

_INPUT, _FAILED, _STOPPED, _INTERRUPTED, _INTERNAL = range(1, 6)  # first byte; 0: no error


class FailedElsewhere(LuthierError):
    """Another process of the run failed, so this one stops. The text is that of the other process."""


def pack(error: BaseException | None) -> bytes:
    """At most LENGTH bytes: the kind of the error and its text."""
    if error is None:
        return b"\0"
    return bytes([_kind(error)]) + _text(error).encode(errors="replace")[: LENGTH - 1]


def unpack(content: bytes, process: str) -> BaseException | None:
    """What `pack` packed, as an error to raise here; None where there was none. `process` names where it happened."""
    kind, text = content[0], content[1:].rstrip(b"\0").decode(errors="replace")
    if kind == _STOPPED:
        return Interrupted(text)
    if kind == _INTERRUPTED:
        return KeyboardInterrupt()
    if kind == _INPUT:
        return InputError(f"{text} ({process})")
    return FailedElsewhere(f"{text} ({process})") if kind else None


def is_internal(error: BaseException) -> bool:
    """Whether nobody foresaw the error, so that it should be shown as it is."""
    return _kind(error) == _INTERNAL


def exit_status(error: BaseException) -> int:
    """The exit status of the command line for an error."""
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return 2 if isinstance(error, InputError) else 1


def _kind(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return _STOPPED if isinstance(error, Interrupted) else _INTERRUPTED
    if isinstance(error, InputError):
        return _INPUT
    return _FAILED if isinstance(error, LuthierError | OSError) else _INTERNAL


def _text(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'input or output'}: {error.strerror or error}"
    return str(error) if _kind(error) != _INTERNAL else f"internal error: {type(error).__name__}: {error}"
