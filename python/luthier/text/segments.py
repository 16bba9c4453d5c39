"""A rendered chat as typed segments: control tokens, which only the template writes, and text between them.

Each run of text between two control tokens, template text and content together, is one segment, to be tokenised as one
piece with special-token parsing off. For chats whose contents spell no control token, the ids are then those of
Transformers' apply_chat_template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from luthier.errors import InputError
from luthier.records.record import Message
from luthier.text.control import ControlMatch, ControlTokens
from luthier.text.exchange import exchanged_spans
from luthier.text.given import Chat, Given
from luthier.text.probe import calls_in_probe, end_in_probe, generation_header, lead_in_probe
from luthier.text.shadow import Shadows
from luthier.text.template import ChatTemplate, Rendering, TemplateError
from luthier.text.turns import Rendered, Span, Turn, located, turn_from, turn_from_mark, with_edges

__all__ = ["Segment", "SegmentedChat", "Segmenter"]


@dataclass(frozen=True)
class Segment:
    """A part of a rendered chat: a control token, whose id is `token`, or a run of text. `start` is its character."""

    kind: Literal["control", "content"]
    text: str
    start: int
    token: int | None = None


@dataclass(frozen=True)
class SegmentedChat:
    """A rendered chat, its segments in order, and the assistant turns in it."""

    text: str
    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...]


class Segmenter:
    """Splits chats under one template into segments.

    `end_ids` are the tokens at which decoding stops; the tokens that the template writes after an assistant message
    and after tool calls are added to them (`end_ids` of the object). `call_style` says how the template wants tool
    calls; it is None where the template does not write any.
    """

    def __init__(self, template: ChatTemplate, control: ControlTokens, end_ids: frozenset[int]) -> None:
        self.template = template
        self.control = control
        self.header = generation_header(template)
        self.lead = lead_in_probe(template)
        self.end_of_turn = end_in_probe(template, control)
        own = frozenset() if self.end_of_turn is None else {self.end_of_turn}
        self.call_style, end_of_calls = calls_in_probe(template, control, end_ids | own)
        self.end_ids = frozenset(end_ids) | own | end_of_calls
        self._keep = _kept_constants(template, control)
        # Spellings and template text must not be taken for shadows.
        self._reserved = template.source + "".join(template.variables.values()) + "".join(control.by_text)
        self._harmless = lru_cache(maxsize=4096)(control.harmless)

    def segment(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        add_generation_prompt: bool = False,
    ) -> SegmentedChat:
        """The chat as segments. Raises InputError where the template refuses it or hides an assistant message."""
        chat = Chat(messages, tools, self.call_style)
        if self.call_style is None and any(message.tool_calls for message in messages):
            raise InputError(
                "the model's chat template does not write tool calls; take a model whose template does, "
                "or write the calls into the messages' content"
            )
        rendered = self._render(chat, add_generation_prompt)
        segments = _split(rendered.text, rendered.matches)
        turns = () if add_generation_prompt else self._turns(chat, rendered)
        return SegmentedChat(rendered.text, segments, turns)

    def _render(self, chat: Chat, add_generation_prompt: bool) -> Rendered:
        given = chat.given(chat.texts)
        plain = self._raw(given, add_generation_prompt)
        first = self._shadowed(chat, add_generation_prompt, None)
        if first is not None and first.text == plain.text:
            return first
        # The template looks into the contents: leave it the words that it looks for.
        second = self._shadowed(chat, add_generation_prompt, self._keep) if self._keep else None
        if second is not None and second.text == plain.text:
            return second
        safe = second or first
        matches = self.control.find(plain.text)
        pattern = self.control.control_pattern
        clean = pattern is None or not any(pattern.search(text) for text in chat.texts)
        if clean and (safe is None or [m.token.id for m in matches] == [m.token.id for m in safe.matches]):
            if safe is None and matches:
                raise InputError("the chat template renders this chat only as it stands, so it cannot be guarded")
            return Rendered(plain.text, plain.text, matches, chat.texts, given, plain.generation_spans, False)
        if safe is None:
            raise InputError("the chat template changes the messages' text, so control tokens cannot be told from it")
        return safe

    def _shadowed(self, chat: Chat, add_generation_prompt: bool, keep: re.Pattern[str] | None) -> Rendered | None:
        contents = len(chat.messages)
        # Of tools and calls only what could help to spell a control token: templates look into the rest.
        hidden = [index for index, text in enumerate(chat.texts) if index < contents or not self._harmless(text)]
        texts = list(chat.texts)
        try:
            shadows = Shadows(
                [texts[index] for index in hidden],
                [chat.groups[index] for index in hidden],
                reserved=self._reserved + "".join(texts[contents:]),
                keep=keep,
                escaped=chat.has_calls or len(texts) > contents,
            )
            for index, text in zip(hidden, shadows.texts):
                texts[index] = text
            given = chat.given(texts, shadows.escapes)
            marked = self._raw(given, add_generation_prompt)
        except (TemplateError, ValueError):
            return None
        text = shadows.lifted(marked.text)
        matches = self.control.find(marked.text, beside=text)
        return Rendered(text, marked.text, matches, texts, given, marked.generation_spans, True)

    def _raw(self, given: Given, add_generation_prompt: bool) -> Rendering:
        return self.template.render(
            given.messages, tools=given.tools, add_generation_prompt=add_generation_prompt, escapes=given.escapes
        )

    def _turns(self, chat: Chat, rendered: Rendered) -> tuple[Turn, ...]:
        assistants = [index for index, message in enumerate(chat.messages) if message.role == "assistant"]
        if len(rendered.spans) == len(assistants) and assistants:
            return tuple(
                turn_from_mark(rendered, index, span, self.end_ids) for index, span in zip(assistants, rendered.spans)
            )
        if chat.has_calls:
            spans = exchanged_spans(rendered, assistants, self.template, self.end_ids)
            _check_calls(chat.messages, assistants, spans, rendered.text)
        else:
            spans = self._content_spans(chat, rendered, assistants)
        if spans is None:
            raise InputError(
                "the chat template leaves out or rewrites an assistant message, so its turn cannot be found; "
                "put {% generation %} marks into the template"
            )
        turns: list[Turn] = []
        for index, span in zip(assistants, spans):
            turns.append(
                turn_from(
                    rendered.marked,
                    rendered.matches,
                    index,
                    span,
                    floor=turns[-1].end if turns else 0,
                    header=self.header,
                    lead=self.lead,
                    end_ids=self.end_ids,
                    shadowed=rendered.shadowed,
                )
            )
        return tuple(turns)

    def _content_spans(self, chat: Chat, rendered: Rendered, assistants: Sequence[int]) -> list[Span] | None:
        """Where the contents of the assistant messages stand."""
        contents = [rendered.texts[index] for index in assistants]
        if rendered.shadowed:
            spans = located(rendered.marked, contents)
        else:
            # Without shadows only the order of all messages tells where each of them stands.
            everything = located(rendered.marked, rendered.texts[: len(chat.messages)])
            spans = None if everything is None else [everything[index] for index in assistants]
        if spans is None:
            return None

        def with_content(index: int, content: str) -> str:
            changed = list(rendered.texts)
            changed[assistants[index]] = content
            return self._raw(chat.given(changed, rendered.given.escapes), False).text

        return with_edges(rendered.marked, spans, contents, with_content)


def _check_calls(
    messages: Sequence[Message], assistants: Sequence[int], spans: Sequence[Span] | None, text: str
) -> None:
    """Raises InputError where a call is missing from its turn: some templates write the first call alone."""
    for index, (start, end) in zip(assistants, spans or ()):
        for call in messages[index].tool_calls:
            if call.name.isidentifier() and call.name not in text[start:end]:
                raise InputError(
                    f"the chat template leaves out the call of {call.name!r} in message {index + 1}; "
                    "it may write one call a message only"
                )


def _split(text: str, matches: Sequence[ControlMatch]) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    end = 0
    for match in matches:
        if match.start > end:
            segments.append(Segment("content", text[end : match.start], end))
        segments.append(Segment("control", text[match.start : match.end], match.start, match.token.id))
        end = match.end
    if end < len(text):
        segments.append(Segment("content", text[end:], end))
    return tuple(segments)


def _kept_constants(template: ChatTemplate, control: ControlTokens) -> re.Pattern[str] | None:
    """The words that the template may look for in contents, such as </think>, unless they touch a control token."""
    kept = [
        re.escape(text)
        for text in template.constants
        if len(text.strip()) > 2 and not text.strip().isalnum() and not control.touches(text)
    ]
    return re.compile("|".join(kept)) if kept else None
