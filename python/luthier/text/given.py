"""What a chat template is given: messages and tools as Transformers passes them, with their strings to be exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.records.record import Message, ToolCall
from luthier.text.json_text import Escapes, json_text, marked_by

__all__ = ["CallStyle", "Chat", "Given"]

# Words of the form in which tools are described; templates look for them.
_FORM = frozenset({"type", "function", "name", "description", "parameters"})


@dataclass(frozen=True)
class CallStyle:
    """How a template wants tool calls: what stands for a missing content, and whether arguments come as JSON text."""

    no_content: str | None = None
    arguments_as_text: bool = False


@dataclass(frozen=True)
class Given:
    """The arguments of a template. `escapes` are those of the shadows in them."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None
    escapes: Escapes | None = None


class Chat:
    """Messages and tools of one row.

    `texts` are the contents of the messages, then every string within tools and tool calls, keys included, in the order
    in which they are walked; `groups` numbers them: 0, or 1 and above by assistant turn.
    """

    def __init__(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = (), style: CallStyle | None = None
    ) -> None:
        self.messages = messages
        self.tools = tools
        self._style = style or CallStyle()
        self.has_calls = any(message.tool_calls or message.role == "tool" for message in messages)
        turns = 0
        self.groups: list[int] = []
        for message in messages:
            turns += message.role == "assistant"
            self.groups.append(1 + turns % 7 if message.role == "assistant" else 0)
        self.texts = [message.content for message in messages]
        if self.has_calls or tools:
            self._collect()

    def given(self, texts: Sequence[str], escapes: Escapes | None = None) -> Given:
        """What the template gets, with `texts` in place of the chat's own."""
        others = iter(texts[len(self.messages) :])

        def exchange(text: str) -> str:
            return next(others)

        messages = [
            self._message(message, content, exchange, escapes) for message, content in zip(self.messages, texts)
        ]
        tools = [_exchanged(dict(tool), exchange) for tool in self.tools]
        return Given(messages, tools or None, escapes)

    def _collect(self) -> None:
        group = 0

        def note(text: str) -> str:
            self.texts.append(text)
            self.groups.append(group)
            return text

        for index, message in enumerate(self.messages):
            group = self.groups[index]
            self._message(message, message.content, note, None)
        group = 0
        for tool in self.tools:
            _exchanged(dict(tool), note)

    def _message(
        self, message: Message, content: str, exchange: Callable[[str], str], escapes: Escapes | None
    ) -> dict[str, Any]:
        given: dict[str, Any] = {"role": message.role, "content": content}
        if message.tool_calls:
            if not message.content:
                given["content"] = self._style.no_content
            given["tool_calls"] = [self._call(call, exchange, escapes) for call in message.tool_calls]
        if message.name is not None:
            given["name"] = exchange(message.name)
        if message.tool_call_id is not None:
            given["tool_call_id"] = exchange(message.tool_call_id)
        return given

    def _call(self, call: ToolCall, exchange: Callable[[str], str], escapes: Escapes | None) -> dict[str, Any]:
        arguments: Any = _exchanged(dict(call.arguments), exchange)
        if self._style.arguments_as_text:
            with marked_by(escapes):
                arguments = json_text(arguments)
        function = {"name": exchange(call.name), "arguments": arguments}
        given: dict[str, Any] = {"type": "function", "function": function}
        return given if call.id is None else {"id": exchange(call.id), **given}


def _exchanged(value: Any, exchange: Callable[[str], str]) -> Any:
    """A JSON value with every string in it exchanged, keys included."""
    if isinstance(value, str):
        return exchange(value)
    if isinstance(value, Mapping):
        return {key if key in _FORM else exchange(key): _exchanged(item, exchange) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exchanged(item, exchange) for item in value]
    return value
