"""An answer while it is decoded: how it is wanted, and the pieces in which its text and scores come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from luthier.generation.answer_text import AnswerText

if TYPE_CHECKING:
    from luthier import _core

__all__ = ["Finish", "Mask", "Piece", "RunningAnswer", "Sampling", "TokenScore"]

Finish = Literal["", "stop", "length", "failed"]
Mask = Callable[[int], Sequence[int]]
"""Which tokens may come after the newest one (-1 before the first): bit t % 32 of word t // 32 for token t."""


@dataclass(frozen=True)
class Sampling:
    """How a prompt is answered.

    Temperature 0 is greedy; above it tokens are drawn, from the most probable ones that have the probability `top_p`
    together, and the same seed gives the same draws. The answer ends before one of the `stop` strings. `logprobs` asks
    for the score of each token and of as many most probable ones; None for no scores.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


@dataclass(frozen=True)
class TokenScore:
    """A token of an answer with its log-probability, and those of the most probable tokens in its place."""

    token: int
    logprob: float
    likely: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Piece:
    """What is new of an answer: settled text, the scores of the tokens that begin in it, and `tokens`, the number of
    its tokens so far.

    `finish` is empty while more is to come, "stop" at an end token or a stop string, "length" after the most tokens,
    and "failed" where `error` says why there is no more.
    """

    text: str
    tokens: int
    scores: tuple[TokenScore, ...] = ()
    finish: Finish = ""
    error: Exception | None = None


@dataclass(eq=False)
class RunningAnswer:
    """An answer that is waiting or being decoded. Pieces go to `on_piece`, in the thread that decodes."""

    prompt: list[int]
    sampling: Sampling
    text: AnswerText
    on_piece: Callable[[Piece], None]
    on_cancel: Callable[[RunningAnswer], None]
    mask: Mask | None = None
    tokens: int = 0
    _scores: list[tuple[int, TokenScore]] = field(default_factory=list)  # with the character at which a token begins

    def cancel(self) -> None:
        """Asks for no more pieces; one may still come. May be called at any time, by any thread."""
        self.on_cancel(self)

    def take(self, token: _core.DecodedToken) -> Piece | None:
        """What one more token brings, if anything. Called by the thread that decodes."""
        ended = token.finish in ("end", "nothing allowed")
        settled = ""
        if not ended:
            self.tokens += 1
            if self.sampling.logprobs is not None:
                self._scores.append((self.text.length, TokenScore(token.token, token.logprob, tuple(token.likely))))
            settled = self.text.add(token.token)
        finished = bool(token.finish) or self.text.stopped
        if finished:
            settled += self.text.finish()
        finish: Finish = ""
        if finished:
            finish = "length" if token.finish == "length" and not self.text.stopped else "stop"
        scores = self._settled_scores(finished)
        return Piece(settled, self.tokens, scores, finish) if settled or scores or finished else None

    def fail(self, error: Exception) -> None:
        """Gives the last piece; a listener that is gone does not matter any more."""
        try:
            self.on_piece(Piece("", self.tokens, finish="failed", error=error))
        except Exception:
            return

    def _settled_scores(self, final: bool) -> tuple[TokenScore, ...]:
        """The scores of tokens that begin in the text given so far; with the last piece those behind it, too, unless a
        stop string took them."""
        rest = final and not self.text.stopped
        count = sum(rest or start < self.text.given for start, _ in self._scores)
        settled = tuple(score for _, score in self._scores[:count])
        del self._scores[:count]
        return settled
