"""The tokens of a chat, with a weight for each: what the model is to learn, and what it only reads."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from luthier.errors import InputError
from luthier.records.record import Message, Record
from luthier.text.segments import Segment, SegmentedChat, Segmenter
from luthier.text.tokenizer import Piece, Tokenizer
from luthier.text.turns import Turn

__all__ = ["ChatEncoder", "EncodedRow"]

_MOST_CACHED = 4096
_LONGEST_CACHED = 20_000


@dataclass(frozen=True)
class EncodedRow:
    """One row as tokens. All lists are as long as the row has tokens.

    `weights[i]` scales the loss of predicting token i: 0 where it is only read. `ends[i]` marks the end-of-turn token
    of an assistant turn, supervised or not.
    """

    tokens: list[int]
    weights: list[float]
    ends: list[bool]

    @property
    def supervised_tokens(self) -> int:
        """How many tokens have a weight other than 0."""
        return sum(weight != 0 for weight in self.weights)

    @property
    def end_supervised(self) -> bool:
        """Whether the last assistant turn's end-of-turn token is there and supervised."""
        return any(end and weight != 0 for end, weight in zip(self.ends, self.weights))


class ChatEncoder:
    """Encodes records with one tokenizer and its chat template.

    `template` replaces the tokenizer's own; rows with tools take its template for them, where it has one. Without any
    template a row is the text of its messages: system and user contents end with a line end except before the answer,
    an assistant's content is followed by the end token:

        [bos] system \\n user assistant eos

    `end_ids` are the tokens at which decoding stops; `end_of_turn_id` is the one that ends an assistant turn.
    """

    def __init__(self, tokenizer: Tokenizer, template: str | None = None) -> None:
        self.tokenizer = tokenizer
        if template is not None:
            tokenizer = _with_template(tokenizer, template)
        compiled = tokenizer.template()
        self._segmenter = None if compiled is None else Segmenter(compiled, tokenizer.control, tokenizer.end_ids)
        for_tools = tokenizer.template_for_tools()
        self._tool_segmenter = self._segmenter
        if for_tools is not None:
            self._tool_segmenter = Segmenter(for_tools, tokenizer.control, tokenizer.end_ids)
        self.end_of_turn_id = tokenizer.eos_id
        self.end_ids = tokenizer.end_ids
        if self._segmenter is not None:
            self.end_ids = self._segmenter.end_ids
            if self._segmenter.end_of_turn is not None:
                self.end_of_turn_id = self._segmenter.end_of_turn
        if self._tool_segmenter is not None:
            self.end_ids |= self._tool_segmenter.end_ids
        self._cache: OrderedDict[tuple[str, bool], Piece] = OrderedDict()

    def encode_row(self, record: Record) -> EncodedRow:
        """The whole chat with the weights of its assistant turns. Raises InputError with the row's file and line."""
        return self.encode_rows([record])[0]

    def encode_rows(self, records: Iterable[Record]) -> list[EncodedRow]:
        """As encode_row, for many rows at once, which is faster."""
        rows = list(records)
        encoded: list[EncodedRow] = []
        for start in range(0, len(rows), 256):
            some = rows[start : start + 256]
            chats = [self._segmented(record, record.messages, False) for record in some]
            pieces = self._pieces(chats)
            encoded += [_weighted(record, chat, pieces) for record, chat in zip(some, chats)]
        return encoded

    def encode_prompt(self, record: Record) -> list[int]:
        """The ids up to where the model is to answer: without a trailing assistant message, with the header of one."""
        return self.encode_prompts([record])[0]

    def encode_prompts(self, records: Iterable[Record]) -> list[list[int]]:
        """As encode_prompt, for many rows at once."""
        chats = [self._segmented(record, record.prompt, True) for record in records]
        pieces = self._pieces(chats)
        encoded = []
        for chat in chats:
            ids: list[int] = []
            for segment in chat.segments:
                ids += [segment.token] if segment.token is not None else pieces[segment.text, segment.start == 0][0]
            encoded.append(ids)
        return encoded

    def encode_messages(self, messages: Sequence[Message]) -> list[int]:
        """As encode_prompt, for messages that stand in no file."""
        return self.encode_prompt(Record(tuple(messages), file="messages"))

    @property
    def writes_calls(self) -> bool:
        """Whether the chat template writes tool calls; rows with calls are refused where it does not."""
        return self._tool_segmenter is not None and self._tool_segmenter.call_style is not None

    def reference(self, record: Record) -> str | None:
        """The answer of a row as the model is to write it: `record.reference`, but tool calls as the template writes
        them, decoded like any answer. Raises InputError as encode_row does."""
        if record.reference is None or not record.messages[-1].tool_calls:
            return record.reference
        *prompt, answer = record.messages
        asked = [replace(message, weight=0.0) for message in prompt]
        row = self.encode_row(replace(record, messages=(*asked, replace(answer, weight=1.0)), weight=1.0))
        written = zip(row.tokens, row.weights, row.ends)
        return self.tokenizer.decode([token for token, weight, end in written if weight and not end])

    def with_written_answers(self, records: Iterable[Record]) -> list[Record]:
        """The records with `reference` as the answer of those that end in tool calls, to compare answers with."""
        return [
            replace(
                record, messages=(*record.prompt, replace(last, content=self.reference(record) or "", tool_calls=()))
            )
            if record.messages and (last := record.messages[-1]).tool_calls
            else record
            for record in records
        ]

    def _segmented(self, record: Record, messages: Sequence[Message], add_generation_prompt: bool) -> SegmentedChat:
        try:
            segmenter = self._tool_segmenter if record.tools else self._segmenter
            if segmenter is None:
                return self._plain(messages)
            return segmenter.segment(messages, record.tools, add_generation_prompt=add_generation_prompt)
        except InputError as error:
            raise InputError(f"{record.where}: {error}") from None

    def _plain(self, messages: Sequence[Message]) -> SegmentedChat:
        """Messages without a template, each content a segment of its own so that a prompt is a prefix of its row."""
        segments: list[Segment] = []
        turns: list[Turn] = []
        position = 0

        def add(text: str, token: int | None) -> None:
            nonlocal position
            segments.append(Segment("content" if token is None else "control", text, position, token))
            position += len(text)

        if any(message.tool_calls for message in messages):
            raise InputError("the model has no chat template, which tool calls need; write them into the content")
        bos, eos = self.tokenizer.bos_id, self.tokenizer.eos_id
        if self.tokenizer.adds_bos and bos is not None:
            add(self.tokenizer.special_tokens["bos_token"], bos)
        for index, message in enumerate(messages):
            start = position
            if message.role != "assistant":
                is_last = index + 1 == len(messages) or messages[index + 1].role == "assistant"
                add(message.content if is_last else message.content + "\n", None)
                continue
            add(message.content, None)
            end = None if eos is None else position
            if eos is not None:
                add(self.tokenizer.special_tokens["eos_token"], eos)
            turns.append(Turn(index, start, position, end))
        return SegmentedChat("".join(segment.text for segment in segments), tuple(segments), tuple(turns))

    def _pieces(self, chats: Sequence[SegmentedChat]) -> dict[tuple[str, bool], Piece]:
        """The ids of every different run of text in the chats, by the run and whether it starts a row."""
        wanted = {
            (segment.text, segment.start == 0): None
            for chat in chats
            for segment in chat.segments
            if segment.token is None
        }
        pieces: dict[tuple[str, bool], Piece] = {}
        missing: list[tuple[str, bool]] = []
        for key in wanted:
            known = self._cache.get(key)
            if known is None:
                missing.append(key)
            else:
                self._cache.move_to_end(key)
                pieces[key] = known
        for first in (True, False):
            keys = [key for key in missing if key[1] is first]
            if keys:
                pieces.update(zip(keys, self.tokenizer.encode_pieces([text for text, _ in keys], first=first)))
        for key in missing:
            if len(key[0]) <= _LONGEST_CACHED:
                self._cache[key] = pieces[key]
        while len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return pieces


def _weighted(record: Record, chat: SegmentedChat, pieces: dict[tuple[str, bool], Piece]) -> EncodedRow:
    tokens: list[int] = []
    weights: list[float] = []
    ends: list[bool] = []
    turns = [(turn, record.messages[turn.message].weight * record.weight) for turn in chat.turns]
    for segment in chat.segments:
        start = segment.start
        stop = start + len(segment.text)
        here = [(turn, weight) for turn, weight in turns if turn.start < stop and turn.end > start]
        if segment.token is not None:
            tokens.append(segment.token)
            # A header's token may take the content's first whitespace with it; that makes it no part of the turn.
            weights.append(next((weight for turn, weight in here if turn.start <= start), 0.0))
            ends.append(any(turn.end_of_turn == start for turn, _ in here))
            continue
        ids, offsets = pieces[segment.text, start == 0]
        tokens += ids
        ends += [False] * len(ids)
        if not here:
            weights += [0.0] * len(ids)
            continue
        of_segment = [0.0] * len(ids)
        for turn, weight in here:
            # A token belongs to the turn if any of its characters does.
            low, high = turn.start - start, turn.end - start
            for index, (begin, end) in enumerate(offsets):
                if begin < high and (end > low or begin == end == low):
                    of_segment[index] = weight
        weights += of_segment
    return EncodedRow(tokens, weights, ends)


def _with_template(tokenizer: Tokenizer, template: str) -> Tokenizer:
    """A shallow copy of the tokenizer with another chat template."""
    changed = copy.copy(tokenizer)
    changed.chat_template = template
    changed.tool_template = None
    return changed
