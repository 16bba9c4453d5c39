"""Where assistant turns with tool calls stand: found by exchanging the message and seeing what changes.

A template spreads a call over its own words, and some templates put a token before the calls that the model has to
write. So the chat is rendered again with the assistant message in question replaced by one whose content is a single
character: what stands before that character is the header, what stands after it the rest of the chat.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from luthier.text.control import ControlMatch
from luthier.text.template import ChatTemplate, TemplateError
from luthier.text.turns import Rendered, Span

__all__ = ["exchanged_spans"]

_PRIVATE = re.compile("[\U000f0000-\U0010ffff]")
# Of a header or an end of turn that differs between calls and text.
_MOST_DIFFERENT = 200


def exchanged_spans(
    rendered: Rendered, assistants: Sequence[int], template: ChatTemplate, end_ids: frozenset[int]
) -> list[Span] | None:
    """What each assistant message makes of the rendered chat, without its end-of-turn token; None where one of them
    cannot be told."""
    marker = next((chr(code) for code in range(0xE002, 0xF8FF) if chr(code) not in rendered.marked), "")
    spans: list[Span] = []
    for index in assistants:
        floor = spans[-1][1] if spans else 0
        span = _whole(rendered, index, template, marker) or _start(rendered, index, template, marker, end_ids)
        if span is None or span[0] < floor or _holds_another(rendered, index, span):
            return None
        spans.append(_before_end(rendered, span, end_ids))
    return spans


def _holds_another(rendered: Rendered, index: int, span: Span) -> bool:
    """Whether the text of another message stands within the span, as far as shadows can tell."""
    if not rendered.shadowed:
        return False
    inside = rendered.marked[span[0] : span[1]]
    others = (
        text.strip() for number, text in enumerate(rendered.texts[: len(rendered.given.messages)]) if number != index
    )
    return any(_PRIVATE.search(text) and text in inside for text in others)


def _whole(rendered: Rendered, index: int, template: ChatTemplate, marker: str) -> Span | None:
    """The span by what stands before and after the message, with all others in their places."""
    found = _around(rendered, index, template, marker, index + 1)
    if found is None:
        return None
    before, after = found
    start = _common(before, rendered.marked)
    shared = _common(after[::-1], rendered.marked[::-1])
    end = len(rendered.marked) - shared
    different = (before[start:], after[: len(after) - shared])
    if start > end or any(len(text) > _MOST_DIFFERENT or _PRIVATE.search(text) for text in different):
        return None
    return _uncut(rendered.matches, start, end)


def _start(rendered: Rendered, index: int, template: ChatTemplate, marker: str, end_ids: frozenset[int]) -> Span | None:
    """The span by what stands before the message alone; it ends at the next end of turn.

    The rest of the exchange with tools goes with the message: what a tool says may not follow a message without calls.
    """
    messages = rendered.given.messages
    users = (number for number in range(index, len(messages)) if messages[number]["role"] == "user")
    found = _around(rendered, index, template, marker, next(users, len(messages)))
    if found is None:
        return None
    start = _common(found[0], rendered.marked)
    if found[0][start:].strip():
        return None
    match = next((m for m in rendered.matches if m.start >= start and m.token.id in end_ids), None)
    return None if match is None else (start, match.end)


def _around(rendered: Rendered, index: int, template: ChatTemplate, marker: str, rest: int) -> tuple[str, str] | None:
    """What the template writes before and after the marker in the place of the messages from `index` up to `rest`."""
    given = rendered.given
    marked: dict[str, Any] = {"role": "assistant", "content": marker}
    messages = [*given.messages[:index], marked, *given.messages[rest:]]
    try:
        text = template.render(messages, tools=given.tools, escapes=given.escapes).text
    except TemplateError:
        return None
    if not marker or text.count(marker) != 1:
        return None
    before, _, after = text.partition(marker)
    return before, after


def _before_end(rendered: Rendered, span: Span, end_ids: frozenset[int]) -> Span:
    """The span without an end-of-turn token that it ends with."""
    start, end = span
    for match in reversed(rendered.matches):
        if start < match.start < end and match.token.id in end_ids and not rendered.marked[match.end : end].strip():
            return start, match.start
    return span


def _uncut(matches: Sequence[ControlMatch], start: int, end: int) -> Span:
    """The span widened to whole control tokens."""
    for match in matches:
        if match.start < start < match.end:
            start = match.start
        if match.start < end < match.end:
            end = match.end
    return start, end


def _common(left: str, right: str) -> int:
    """How many characters two texts have in common from their start."""
    if right.startswith(left):
        return len(left)
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[:middle] == right[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
