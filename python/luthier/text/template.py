"""Chat templates: rendered in a sandbox configured as Transformers configures it, under limits of time and size."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from types import FrameType
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox
from jinja2.parser import Parser

from luthier.errors import InputError

__all__ = ["ChatTemplate", "Rendering", "TemplateError"]

ChatMessages = Sequence[Mapping[str, str]]

_MOST_CHARACTERS = 10_000_000
_MOST_SECONDS = 1.0
_FILE = "<chat template>"
_PADDING_METHODS = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})


class TemplateError(InputError):
    """The template raised an error for this chat, or went over a limit; the message says which."""


@dataclass
class _Progress:
    """How far a rendering has come: the generation blocks are counted from its start."""

    characters: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)


_progress: ContextVar[_Progress | None] = ContextVar("luthier_template_progress", default=None)


@dataclass(frozen=True)
class Rendering:
    """A rendered chat. `generation_spans` are the [start, end) character ranges of its {% generation %} blocks."""

    text: str
    generation_spans: tuple[tuple[int, int], ...]


class ChatTemplate:
    """A compiled chat template.

    `variables` are what the template sees besides the messages: the special tokens (`bos_token`, ...). Rendering
    stops at 1 second and 10 million characters, as far as the sandbox can see. Raises InputError where the source is
    no template.
    """

    def __init__(self, source: str, variables: Mapping[str, str] | None = None) -> None:
        self.source = source
        self.variables = dict(variables or {})
        environment = _Environment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            tree = environment.parse(source)
            self._template = jinja2.Template.from_code(
                environment, environment.compile(tree, filename=_FILE), environment.make_globals(None)
            )
        except jinja2.TemplateSyntaxError as error:
            raise InputError(f"chat template, line {error.lineno}: {error.message}") from None
        except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
            raise InputError(f"chat template: cannot be compiled: {error}") from None
        self.constants = _constants(environment.parse(source))

    def render(self, messages: ChatMessages, *, add_generation_prompt: bool = False) -> Rendering:
        """The chat as text. Raises TemplateError with the template's own message, or the limit it ran into."""
        progress = _Progress()
        token = _progress.set(progress)
        blocks: list[str] = []
        try:
            with _time_limit():
                for block in self._template.generate(
                    messages=[dict(message) for message in messages],
                    tools=None,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **self.variables,
                ):
                    progress.characters += len(block)
                    if progress.characters > _MOST_CHARACTERS:
                        raise TemplateError(f"the chat template wrote more than {_MOST_CHARACTERS:,} characters")
                    blocks.append(block)
        except TemplateError:
            raise
        except jinja2.TemplateError as error:
            raise TemplateError(f"the chat template refuses the chat: {error.message or error}") from None
        except (RecursionError, MemoryError) as error:
            raise TemplateError(f"the chat template ran out of memory or stack: {error}") from None
        except Exception as error:  # a template can raise anything that Python expressions can
            raise TemplateError(f"the chat template failed: {type(error).__name__}: {error}") from None
        finally:
            _progress.reset(token)
        return Rendering("".join(blocks), tuple(progress.spans))


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """The sandbox, refusing the operations that make huge strings in one step."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _check_size(_size(left) * _size(right) if _is_sequence(left) or _is_sequence(right) else 0)
        elif operator == "**" and isinstance(right, (int, float)) and abs(right) > 1000:
            _refuse_size()
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str) and getattr(__obj, "__name__", "") in _PADDING_METHODS:
            _check_size(max((abs(value) for value in args if isinstance(value, int)), default=0))
        return super().call(__context, __obj, *args, **kwargs)


class _GenerationBlock(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}: what the assistant wrote."""

    tags = {"generation"}  # noqa: RUF012, as the base class has it

    def parse(self, parser: Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    def _note(self, caller: Callable[[], str]) -> str:
        text = caller()
        progress = _progress.get()
        if progress is not None:
            progress.spans.append((progress.characters, progress.characters + len(text)))
        return text


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without the HTML escapes of Jinja's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def _constants(tree: jinja2.nodes.Template) -> tuple[str, ...]:
    """The strings that the template's expressions name, longest first."""
    found = {node.value for node in tree.find_all(jinja2.nodes.Const) if isinstance(node.value, str)}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


@contextmanager
def _time_limit() -> Iterator[None]:
    """Stops the template's own code after a second. Without effect under a debugger or a coverage tool."""
    if sys.gettrace() is not None:
        yield
        return
    deadline = time.monotonic() + _MOST_SECONDS

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > deadline:
            raise TemplateError(f"the chat template ran for more than {_MOST_SECONDS:g} second")
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        return on_line if frame.f_code.co_filename == _FILE else None

    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(None)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (str, list, tuple))


def _size(value: Any) -> int:
    return len(value) if _is_sequence(value) else max(int(value), 0) if isinstance(value, int) else 1


def _check_size(size: int) -> None:
    if size > _MOST_CHARACTERS:
        _refuse_size()


def _check_format(text: str) -> None:
    digits = 0
    for character in text:
        digits = digits + 1 if character.isdigit() else 0
        if digits > 6:
            _refuse_size()


def _refuse_size() -> NoReturn:
    raise TemplateError(f"the chat template makes a value of more than {_MOST_CHARACTERS:,} characters")
