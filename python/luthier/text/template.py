"""Chat templates: rendered in a sandbox configured as Transformers configures it, under limits of time and size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.parser import Parser

from luthier.errors import InputError
from luthier.text.json_text import Escapes, json_text, marked_by
from luthier.text.sandbox import MOST_CHARACTERS, Sandbox, TemplateError, time_limit

__all__ = ["ChatTemplate", "Rendering", "TemplateError"]

ChatMessages = Sequence[Mapping[str, Any]]

_FILE = "<chat template>"


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
        environment = Sandbox([_GenerationBlock, jinja2.ext.loopcontrols])
        environment.filters["tojson"] = json_text
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

    def render(
        self,
        messages: ChatMessages,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        escapes: Escapes | None = None,
    ) -> Rendering:
        """The chat as text. `escapes` are those of the shadows in the chat, which `tojson` is to escape as what they
        stand for. Raises TemplateError with the template's own message, or the limit it ran into."""
        progress = _Progress()
        token = _progress.set(progress)
        blocks: list[str] = []
        try:
            with time_limit(_FILE), marked_by(escapes):
                for block in self._template.generate(
                    messages=[dict(message) for message in messages],
                    tools=None if tools is None else [dict(tool) for tool in tools],
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **self.variables,
                ):
                    progress.characters += len(block)
                    if progress.characters > MOST_CHARACTERS:
                        raise TemplateError(
                            f"the chat template wrote more than {MOST_CHARACTERS:,} characters: the row is too long"
                        )
                    blocks.append(block)
        except TemplateError:
            raise
        except jinja2.TemplateError as error:
            raise TemplateError(f"the chat template refuses the chat: {error.message or error}") from None
        except (RecursionError, MemoryError) as error:
            raise TemplateError(f"the chat template ran out of memory or stack: {error}") from None
        except Exception as error:
            raise TemplateError(f"the chat template failed: {type(error).__name__}: {error}") from None
        finally:
            _progress.reset(token)
        return Rendering("".join(blocks), tuple(progress.spans))


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


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def _constants(tree: jinja2.nodes.Template) -> tuple[str, ...]:
    """The strings that the template's expressions name, longest first."""
    found = {node.value for node in tree.find_all(jinja2.nodes.Const) if isinstance(node.value, str)}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))
