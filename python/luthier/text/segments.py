"""A rendered chat as typed segments: control tokens, which only the template writes, and text between them.

Each run of text between two control tokens, template text and content together, is one segment, to be tokenised as one
piece with special-token parsing off. For chats whose contents spell no control token, the ids are then those of
Transformers' apply_chat_template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from luthier.errors import InputError
from luthier.records.record import Message
from luthier.text.control import ControlMatch, ControlTokens
from luthier.text.shadow import Shadows
from luthier.text.template import ChatTemplate, Rendering, TemplateError
from luthier.text.turns import Span, Turn, end_after, located, turn_from, with_edges

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


@dataclass(frozen=True)
class _Rendered:
    """What the template wrote, and the same with `contents` as they were marked, of equal length.

    `shadowed` says whether they are shadows or the contents themselves; `spans` are those of generation marks.
    """

    text: str
    marked: str
    matches: list[ControlMatch]
    contents: list[str]
    spans: tuple[Span, ...]
    shadowed: bool


class Segmenter:
    """Splits chats under one template into segments.

    `end_ids` are the tokens at which decoding stops; the token that the template writes after an assistant message is
    added to them (`end_ids` of the object).
    """

    def __init__(self, template: ChatTemplate, control: ControlTokens, end_ids: frozenset[int]) -> None:
        self.template = template
        self.control = control
        self.header = self._generation_header()
        probe = self._end_in_probe()
        self.end_of_turn = probe
        self.end_ids = frozenset(end_ids) | (frozenset() if probe is None else {probe})
        self._keep = _kept_constants(template, control)
        # Spellings and template text must not be taken for shadows.
        self._reserved = template.source + "".join(template.variables.values()) + "".join(control.by_text)

    def segment(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> SegmentedChat:
        """The chat as segments. Raises InputError where the template refuses it or hides an assistant message."""
        rendered = self._render(messages, add_generation_prompt)
        segments = _split(rendered.text, rendered.matches)
        turns = () if add_generation_prompt else self._turns(messages, rendered)
        return SegmentedChat(rendered.text, segments, turns)

    def _render(self, messages: Sequence[Message], add_generation_prompt: bool) -> _Rendered:
        contents = [message.content for message in messages]
        plain = self._raw(messages, contents, add_generation_prompt)
        first = self._shadowed(messages, contents, add_generation_prompt, plain, None)
        if first is not None and first.text == plain.text:
            return first
        # The template looks into the contents: leave it the words that it looks for.
        second = self._shadowed(messages, contents, add_generation_prompt, plain, self._keep) if self._keep else None
        if second is not None and second.text == plain.text:
            return second
        safe = second or first
        matches = self.control.find(plain.text)
        pattern = self.control.control_pattern
        clean = pattern is None or not any(pattern.search(content) for content in contents)
        if clean and (safe is None or [m.token.id for m in matches] == [m.token.id for m in safe.matches]):
            if safe is None and matches:
                raise InputError("the chat template renders this chat only as it stands, so it cannot be guarded")
            return _Rendered(plain.text, plain.text, matches, contents, plain.generation_spans, False)
        if safe is None:
            raise InputError("the chat template changes the messages' text, so control tokens cannot be told from it")
        return safe

    def _shadowed(
        self,
        messages: Sequence[Message],
        contents: Sequence[str],
        add_generation_prompt: bool,
        plain: Rendering,
        keep: re.Pattern[str] | None,
    ) -> _Rendered | None:
        turns = 0
        groups = []
        for message in messages:
            turns += message.role == "assistant"
            groups.append(1 + turns % 7 if message.role == "assistant" else 0)
        try:
            shadows = Shadows(contents, groups, reserved=self._reserved, keep=keep)
            marked = self._raw(messages, shadows.texts, add_generation_prompt)
        except (TemplateError, ValueError):
            return None
        text = shadows.lifted(marked.text)
        matches = self.control.find(marked.text, beside=text)
        return _Rendered(text, marked.text, matches, shadows.texts, marked.generation_spans, True)

    def _raw(self, messages: Sequence[Message], contents: Sequence[str], add_generation_prompt: bool) -> Rendering:
        return self.template.render(
            [{"role": message.role, "content": content} for message, content in zip(messages, contents)],
            add_generation_prompt=add_generation_prompt,
        )

    def _turns(self, messages: Sequence[Message], rendered: _Rendered) -> tuple[Turn, ...]:
        assistants = [index for index, message in enumerate(messages) if message.role == "assistant"]
        contents = [rendered.contents[index] for index in assistants]
        if len(rendered.spans) == len(assistants) and assistants:
            return tuple(self._from_mark(rendered, index, span) for index, span in zip(assistants, rendered.spans))
        if not rendered.shadowed:
            # Without shadows only the order of all messages tells where each of them stands.
            everything = located(rendered.marked, rendered.contents)
            spans = None if everything is None else [everything[index] for index in assistants]
        else:
            spans = located(rendered.marked, contents)
        if spans is None:
            raise InputError(
                "the chat template leaves out or rewrites an assistant message, so its turn cannot be found; "
                "put {% generation %} marks into the template"
            )

        def with_content(index: int, content: str) -> str:
            changed = list(rendered.contents)
            changed[assistants[index]] = content
            return self._raw(messages, changed, False).text

        spans = with_edges(rendered.marked, spans, contents, with_content)
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
                    end_ids=self.end_ids,
                    shadowed=rendered.shadowed,
                )
            )
        return tuple(turns)

    def _from_mark(self, rendered: _Rendered, index: int, span: Span) -> Turn:
        start, end = span
        inside = [m for m in rendered.matches if start <= m.start < end and m.token.id in self.end_ids]
        if inside:
            return Turn(index, start, end, inside[-1].start)
        match = end_after(rendered.marked, rendered.matches, end, self.end_ids, shadowed=rendered.shadowed)
        return Turn(index, start, end if match is None else match.end, None if match is None else match.start)

    def _generation_header(self) -> str:
        """What the template adds when the model is to answer, for example the assistant's header."""
        probe = [{"role": "user", "content": "question"}]
        try:
            without = self.template.render(probe).text
            with_prompt = self.template.render(probe, add_generation_prompt=True).text
        except TemplateError:
            return ""
        return with_prompt[len(without) :] if with_prompt.startswith(without) else ""

    def _end_in_probe(self) -> int | None:
        """The control token that the template writes directly after the last assistant message."""
        probe = [{"role": "user", "content": "\ue000"}, {"role": "assistant", "content": "\ue001"}]
        try:
            text = self.template.render(probe).text
        except TemplateError:
            return None
        matches = self.control.find(text)
        return next(
            (
                match.token.id
                for match in matches
                if "\ue001" in text
                and match.end > text.rindex("\ue001") + 1
                and not text[text.rindex("\ue001") + 1 : match.start].strip()
            ),
            None,
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
