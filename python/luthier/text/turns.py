"""Which characters of a rendered chat an assistant turn owns, for templates with generation marks and without."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luthier.text.control import ControlMatch
from luthier.text.given import Given

__all__ = ["Rendered", "Span", "Turn", "end_after", "located", "turn_from", "turn_from_mark", "with_edges"]

Span = tuple[int, int]

_PRIVATE = re.compile("[\U000f0000-\U0010ffff]")


@dataclass(frozen=True)
class Turn:
    """The part of a rendered chat that an assistant message is to be learned from.

    `message` is the message's index. The characters [start, end) are what the model writes: what follows the header,
    up to and with the end-of-turn token, which stands at the character `end_of_turn` (None where the template writes
    none).
    """

    message: int
    start: int
    end: int
    end_of_turn: int | None


@dataclass(frozen=True)
class Rendered:
    """What the template wrote, and the same with `texts` as they were marked, of equal length.

    `shadowed` says whether they are shadows or the chat's own texts; `given` is what the template got, `spans` are
    those of generation marks.
    """

    text: str
    marked: str
    matches: list[ControlMatch]
    texts: list[str]
    given: Given
    spans: tuple[Span, ...]
    shadowed: bool


def located(rendered: str, contents: Sequence[str]) -> list[Span] | None:
    """Where each content stands in the text, in order, without whitespace at its ends; None where one is missing."""
    spans: list[Span] = []
    cursor = 0
    for content in contents:
        visible = content.strip()
        start = rendered.find(visible, cursor) if visible else -1
        span = (start, start + len(visible)) if start >= 0 else _remnant(rendered, visible, cursor)
        if span is None:
            return None
        cursor = span[1]
        spans.append(span)
    return spans


def _remnant(rendered: str, shadow: str, cursor: int) -> Span | None:
    """Where a shadow stands of which the template left something out: from its first private character to its last."""
    own = set(_PRIVATE.findall(shadow))
    span: Span | None = None
    for match in _PRIVATE.finditer(rendered, cursor):
        if match.group() in own:
            span = (match.start() if span is None else span[0], match.end())
        elif span is not None:
            break
    return span


def with_edges(
    rendered: str, spans: Sequence[Span], contents: Sequence[str], render: Callable[[int, str], str]
) -> list[Span]:
    """The spans with the whitespace at the contents' ends that the template kept.

    `render(i, text)` renders the chat with content i replaced: the difference tells how much was kept on each side.
    """
    widened: list[Span] = []
    for index, ((start, end), content) in enumerate(zip(spans, contents)):
        visible = content.strip()
        if len(visible) < len(content) and rendered.startswith(visible, start):
            bare = render(index, visible)
            before = start - bare.find(visible, start - (len(content) - len(visible)))
            after = len(rendered) - len(bare) - before
            if 0 <= before <= start and after >= 0:
                start, end = start - before, end + after
        widened.append((start, end))
    return widened


def end_after(
    rendered: str, matches: Sequence[ControlMatch], end: int, end_ids: frozenset[int], *, shadowed: bool
) -> ControlMatch | None:
    """The end-of-turn token that follows the character `end`: the next control token, if it is one of `end_ids`.

    Between the two may stand what the template wrote, which can be told where the contents are shadows (`shadowed`);
    otherwise whitespace only.
    """
    for match in matches:
        if match.end > end and match.start >= end - _stripped(match):
            between = rendered[end : max(match.start, end)]
            foreign = _PRIVATE.search(between) if shadowed else between.strip()
            return match if match.token.id in end_ids and not foreign else None
    return None


def turn_from(
    rendered: str,
    matches: Sequence[ControlMatch],
    message: int,
    span: Span,
    *,
    floor: int,
    header: str,
    lead: str,
    end_ids: frozenset[int],
    shadowed: bool,
) -> Turn:
    """The turn around a content's span. `floor` is where the turn before it ends.

    What the template writes between the generation prompt (`header`) and the content belongs to the turn, since the
    model has to write it. Where the prompt is no more than the messages before, `lead` is the whitespace so written.
    """
    start, end = span
    if header.strip():
        position = rendered.rfind(header, floor, start)
        if position >= 0:
            start = position + len(header)
    elif rendered.endswith(lead, floor, start):
        start -= len(lead)
    match = end_after(rendered, matches, end, end_ids, shadowed=shadowed)
    if match is None:
        return Turn(message, start, end, None)
    return Turn(message, start, match.start + len(match.token.text) + _leading(rendered, match), match.start)


def turn_from_mark(rendered: Rendered, message: int, span: Span, end_ids: frozenset[int]) -> Turn:
    """The turn of a generation block; its end-of-turn token is the last in the block, or the one behind it."""
    start, end = span
    inside = [m for m in rendered.matches if start <= m.start < end and m.token.id in end_ids]
    if inside:
        return Turn(message, start, end, inside[-1].start)
    match = end_after(rendered.marked, rendered.matches, end, end_ids, shadowed=rendered.shadowed)
    return Turn(message, start, end if match is None else match.end, None if match is None else match.start)


def _stripped(match: ControlMatch) -> int:
    """How many characters besides its own the token covers."""
    return match.end - match.start - len(match.token.text)


def _leading(rendered: str, match: ControlMatch) -> int:
    """The whitespace before the token that it takes with it."""
    return rendered.find(match.token.text, match.start, match.end) - match.start
