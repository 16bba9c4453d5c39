"""The bodies of responses, whole and in pieces, as OpenAI's interface has them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any, Protocol

from luthier.generation import Piece, TokenScore
from luthier.text.tokenizer import Tokenizer

__all__ = ["ChatForm", "CompletionForm", "Form", "usage"]

_LEAST = -9999.0  # what is written for a log-probability that JSON has no number for


class Form(Protocol):
    """How the answer to one request is written."""

    def whole(self, text: str, scores: Sequence[TokenScore], finish: str, counts: dict[str, int]) -> dict[str, Any]:
        """The body of a response with the whole answer."""

    def first(self) -> list[dict[str, Any]]:
        """What a stream begins with."""

    def piece(self, piece: Piece) -> dict[str, Any]:
        """One event of a stream."""

    def counts(self, counts: dict[str, int]) -> dict[str, Any]:
        """The event with the counts of tokens, the last of a stream that has one."""


def usage(prompt_tokens: int, answer_tokens: int) -> dict[str, int]:
    """The counts of tokens of one request."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": answer_tokens,
        "total_tokens": prompt_tokens + answer_tokens,
    }


class ChatForm:
    """The answer to a chat."""

    def __init__(self, model: str, tokenizer: Tokenizer, scored: bool) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self._tokenizer = tokenizer
        self._scored = scored

    def whole(self, text: str, scores: Sequence[TokenScore], finish: str, counts: dict[str, int]) -> dict[str, Any]:
        """The body of a response with the whole answer."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": self._logprobs(scores), "finish_reason": finish}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": counts}

    def first(self) -> list[dict[str, Any]]:
        """The event that says whose turn it is."""
        return [self._event({"role": "assistant", "content": ""}, None, None)]

    def piece(self, piece: Piece) -> dict[str, Any]:
        """One event of a stream."""
        delta = {"content": piece.text} if piece.text else {}
        return self._event(delta, self._logprobs(piece.scores) if piece.scores else None, piece.finish or None)

    def counts(self, counts: dict[str, int]) -> dict[str, Any]:
        """The event with the counts of tokens."""
        return {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": counts}

    def _event(self, delta: dict[str, Any], logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def _logprobs(self, scores: Sequence[TokenScore]) -> dict[str, Any] | None:
        if not self._scored:
            return None
        content = [
            self._score(score.token, score.logprob)
            | {"top_logprobs": [self._score(token, logprob) for token, logprob in score.likely]}
            for score in scores
        ]
        return {"content": content, "refusal": None}

    def _score(self, token: int, logprob: float) -> dict[str, Any]:
        text = _text_of(self._tokenizer, token)
        # A part of a character has bytes that its text does not tell.
        own = None if "�" in text else list(text.encode("utf-8"))
        return {"token": text, "logprob": max(logprob, _LEAST), "bytes": own}


class CompletionForm:
    """The text that follows a text."""

    def __init__(self, model: str, tokenizer: Tokenizer, scored: bool) -> None:
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }
        self._tokenizer = tokenizer
        self._scored = scored
        self._offset = 0

    def whole(self, text: str, scores: Sequence[TokenScore], finish: str, counts: dict[str, int]) -> dict[str, Any]:
        """The body of a response with the whole answer."""
        choice = {"index": 0, "text": text, "logprobs": self._logprobs(scores), "finish_reason": finish}
        return {**self._head, "choices": [choice], "usage": counts}

    def first(self) -> list[dict[str, Any]]:
        """Nothing: a completion begins with its text."""
        return []

    def piece(self, piece: Piece) -> dict[str, Any]:
        """One event of a stream."""
        logprobs = self._logprobs(piece.scores) if piece.scores else None
        choice = {"index": 0, "text": piece.text, "logprobs": logprobs, "finish_reason": piece.finish or None}
        return {**self._head, "choices": [choice]}

    def counts(self, counts: dict[str, int]) -> dict[str, Any]:
        """The event with the counts of tokens."""
        return {**self._head, "choices": [], "usage": counts}

    def _logprobs(self, scores: Sequence[TokenScore]) -> dict[str, Any] | None:
        if not self._scored:
            return None
        tokens = [_text_of(self._tokenizer, score.token) for score in scores]
        offsets = []
        for text in tokens:
            offsets.append(self._offset)
            self._offset += len(text)
        return {
            "tokens": tokens,
            "token_logprobs": [max(score.logprob, _LEAST) for score in scores],
            "top_logprobs": [
                {_text_of(self._tokenizer, token): max(logprob, _LEAST) for token, logprob in score.likely}
                for score in scores
            ],
            "text_offset": offsets,
        }


def _text_of(tokenizer: Tokenizer, token: int) -> str:
    """The text of one token alone; a control token as the vocabulary spells it."""
    return tokenizer.decode([token]) or tokenizer.decode([token], skip_special=False)
