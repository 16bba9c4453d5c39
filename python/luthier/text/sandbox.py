"""The sandbox in which chat templates run: Transformers' settings, and limits on time and size.

The limits are a best effort: what a template does in its own code is stopped, one long call into Python is not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.filters
import jinja2.sandbox

from luthier.errors import InputError

__all__ = ["MOST_CHARACTERS", "Sandbox", "TemplateError", "time_limit"]

MOST_CHARACTERS = 10_000_000
_MOST_SECONDS = 1.0
_MOST_DIGITS = 6
_GUARDED_METHODS = frozenset(
    {"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map", "replace", "join"}
)


class TemplateError(InputError):
    """The template raised an error for this chat, or went over a limit; the message says which."""


class Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox, refusing the operations that make huge values in one step."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, extensions: list[type[jinja2.ext.Extension]]) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
        for name in ("center", "indent", "format", "replace", "join"):
            self.filters[name] = _guarded(name, self.filters[name])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Applies `*`, `**` or `%` unless the result would be huge."""
        if operator == "*" and (_is_sequence(left) or _is_sequence(right)):
            _check_size(_size(left) * _size(right))
        elif operator == "**" and isinstance(right, (int, float)) and abs(right) > 1000:
            _refuse_size()
        elif operator == "%" and isinstance(left, str):
            _check_format(left, right if isinstance(right, tuple) else (right,))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function of the template unless it is a method of a string that would make a huge one."""
        owner = getattr(obj, "__self__", None)
        name = getattr(obj, "__name__", "")
        if isinstance(owner, str) and name in _GUARDED_METHODS:
            _check_call(name, owner, (*args, *kwargs.values()))
        return super().call(context, obj, *args, **kwargs)


@contextmanager
def time_limit(file: str) -> Iterator[None]:
    """Stops template code compiled under the name `file` after a second of its own work, with TemplateError.

    Without effect under a debugger or a coverage tool, which use the same hook.
    """
    if sys.gettrace() is not None:
        yield
        return
    deadline = time.thread_time() + _MOST_SECONDS

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        if time.thread_time() > deadline:
            raise TemplateError(f"the chat template ran for more than {_MOST_SECONDS:g} second")
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        return on_line if frame.f_code.co_filename == file else None

    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(None)


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with its arguments checked; Jinja passes what its decorators ask for before the value."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    def filter(*args: Any, **kwargs: Any) -> Any:
        value, *rest = args[passed:]
        if name == "join":
            separator = rest[0] if rest else kwargs.get("d", "")
            if isinstance(value, (list, tuple)) and isinstance(separator, str):
                _check_size(len(value) * len(separator))
        elif isinstance(value, str):
            _check_call(name, value, (*rest, *kwargs.values()))
        return function(*args, **kwargs)

    for attribute in ("jinja_pass_arg", "jinja_async_variant"):
        if hasattr(function, attribute):
            setattr(filter, attribute, getattr(function, attribute))
    return filter


def _check_call(name: str, owner: str, args: tuple[Any, ...]) -> None:
    """Refuses a string method or filter whose result could be longer than a chat may be."""
    if name == "replace":
        _check_size((len(owner) + 1) * max((len(value) for value in args if isinstance(value, str)), default=0))
    elif name == "join":
        _check_size(len(owner) * max((len(value) for value in args if isinstance(value, (list, tuple))), default=0))
    elif name in ("format", "format_map"):
        _check_format(owner, args)
    else:
        lines = owner.count("\n") + owner.count("\t") + 1
        _check_size(lines * max((abs(value) for value in args if isinstance(value, int)), default=0))


def _check_format(text: str, args: tuple[Any, ...]) -> None:
    digits = 0
    for character in text:
        digits = digits + 1 if character.isdigit() else 0
        if digits > _MOST_DIGITS:
            _refuse_size()
    if "*" in text or text.count("{") > 1:
        _check_size(max((abs(value) for value in args if isinstance(value, int)), default=0))


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (str, list, tuple))


def _size(value: Any) -> int:
    return len(value) if _is_sequence(value) else max(int(value), 0) if isinstance(value, int) else 1


def _check_size(size: int) -> None:
    if size > MOST_CHARACTERS:
        _refuse_size()


def _refuse_size() -> NoReturn:
    raise TemplateError(f"the chat template makes a value of more than {MOST_CHARACTERS:,} characters")
