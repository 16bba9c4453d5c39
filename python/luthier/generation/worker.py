"""A thread that owns a model and answers many prompts at once, each as soon as it comes.

with DecodingWorker(model) as worker:
    answer = worker.submit(prompt_ids, Sampling(max_new_tokens=40), on_piece=print)
    answer.cancel()
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from luthier.errors import InputError, LuthierError
from luthier.generation.answer_text import AnswerText
from luthier.generation.running_answer import Mask, Piece, RunningAnswer, Sampling

if TYPE_CHECKING:
    from luthier import _core
    from luthier.models.model import Model

__all__ = ["BusyError", "DecodingWorker", "default_cache_tokens"]


class BusyError(LuthierError):
    """As many prompts are being answered and waiting as the worker takes."""


class DecodingWorker:
    """Decodes the prompts that it is given side by side; what several begin with is computed once.

    `max_rows` prompts are answered at a time and `max_waiting` more may wait. Keys and values of `cache_tokens` tokens
    are held; None: see default_cache_tokens.
    The model must not be used otherwise while the worker runs.
    """

    def __init__(
        self, model: Model, max_rows: int = 64, max_waiting: int = 256, cache_tokens: int | None = None
    ) -> None:
        """Raises InputError for a limit that is too small."""
        self._model = model
        self._limits = (max_rows, cache_tokens or default_cache_tokens(model))
        self._most = max_rows + max_waiting
        self._ends = sorted(model.encoder.end_ids)
        self._queue: _core.DecodingQueue | None = self._new_queue()  # None after a step that failed
        self._changed = threading.Condition()
        self._new: list[RunningAnswer] = []
        self._cancelled: list[RunningAnswer] = []
        self._open = 0
        self._closing = False
        self._answers: dict[int, RunningAnswer] = {}  # by their numbers in the queue; of the thread alone
        self._thread = threading.Thread(target=self._run, name="luthier-decoding", daemon=True)
        self._thread.start()

    @property
    def open_answers(self) -> int:
        """How many answers are waiting or being decoded."""
        with self._changed:
            return self._open

    def room(self, prompt: int, wanted: int | None, default: int) -> int:
        """The most tokens of an answer to a prompt of `prompt` tokens: as wanted, else the default, or fewer where
        there is less room. Raises InputError where there is no room for what is wanted."""
        most = min(int(self._model.decoder.config["max_positions"]), self._limits[1])
        if prompt >= most:
            raise InputError(f"the prompt has {prompt:,} tokens, and there is room for {most:,} with the answer")
        if wanted is not None and prompt + wanted > most:
            raise InputError(
                f"the prompt has {prompt:,} tokens, and {wanted:,} more would pass the {most:,} that there is room "
                "for; shorten the prompt or ask for fewer"
            )
        return min(default, most - prompt) if wanted is None else wanted

    def submit(
        self, prompt: Sequence[int], sampling: Sampling, on_piece: Callable[[Piece], None], mask: Mask | None = None
    ) -> RunningAnswer:
        """Starts to answer a prompt of token ids. `mask` restricts the tokens of the answer.

        `on_piece` is called in the worker's thread and must not block; the last piece has a `finish`. Raises BusyError
        where too many wait, LuthierError after close.
        """
        text = AnswerText(self._model.tokenizer.decode, sampling.stop)
        answer = RunningAnswer(list(prompt), sampling, text, on_piece, self._cancel, mask)
        with self._changed:
            if self._closing:
                raise LuthierError("[decode] the worker is closed")
            if self._open >= self._most:
                raise BusyError(f"{self._open} requests are being answered or waiting, and no more are taken")
            self._open += 1
            self._new.append(answer)
            self._changed.notify()
        return answer

    def close(self) -> None:
        """Ends the thread after the step that it is in; unfinished answers fail."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def __enter__(self) -> DecodingWorker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _new_queue(self) -> _core.DecodingQueue:
        from luthier import _core

        rows, tokens = self._limits
        return _core.DecodingQueue(self._model.decoder, max_rows=rows, cache_tokens=tokens)

    def _cancel(self, answer: RunningAnswer) -> None:
        with self._changed:
            self._cancelled.append(answer)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._new or self._cancelled or self._answers or self._closing):
                    self._changed.wait()
                new, self._new = self._new, []
                cancelled, self._cancelled = self._cancelled, []
                closing = self._closing
            if closing:
                for answer in [*self._answers.values(), *new]:
                    answer.fail(LuthierError("[decode] the worker was closed"))
                return
            for answer in new:
                self._begin(answer)
            for number in [number for number, answer in self._answers.items() if answer in cancelled]:
                self._end(number)
            self._step()

    def _begin(self, answer: RunningAnswer) -> None:
        wanted = answer.sampling
        try:
            self._queue = self._queue or self._new_queue()
            number = self._queue.add(
                answer.prompt,
                wanted.max_new_tokens,
                self._ends,
                wanted.temperature,
                wanted.top_p,
                wanted.seed,
                wanted.logprobs,
            )
        except Exception as error:  # whatever it is, it is about this answer
            with self._changed:
                self._open -= 1
            answer.fail(error)
            return
        self._answers[number] = answer
        try:
            self._allow(number, answer, -1)
        except Exception as error:
            self._end(number, error)

    def _step(self) -> None:
        if not self._answers or self._queue is None:
            return
        try:
            tokens = self._queue.step()
        except Exception as error:  # such as no memory: what was begun is lost, and what comes can be answered
            failed, self._answers, self._queue = self._answers, {}, None
            with self._changed:
                self._open -= len(failed)
            for answer in failed.values():
                answer.fail(error)
            return
        for token in tokens:
            answer = self._answers[token.id]
            try:
                piece = answer.take(token)
                if piece is not None and piece.finish:
                    self._end(token.id)  # first, so that whoever hears of the end finds the place free
                if piece is not None:
                    answer.on_piece(piece)
            except Exception as error:  # a listener that is gone
                self._end(token.id, error)
        # Nobody waits for what is new while the masks of others are made.
        for token in tokens:
            if (going_on := self._answers.get(token.id)) is not None:
                try:
                    self._allow(token.id, going_on, token.token)
                except Exception as error:  # a mask that cannot go on
                    self._end(token.id, error)

    def _allow(self, number: int, answer: RunningAnswer, token: int) -> None:
        if answer.mask is not None and self._queue is not None:
            self._queue.allow(number, answer.mask(token))

    def _end(self, number: int, error: Exception | None = None) -> None:
        """Takes an answer out, finished, cancelled or failed; one that is out already stays so."""
        answer = self._answers.pop(number, None)
        if answer is None:
            return
        if self._queue is not None:
            self._queue.cancel(number)
        with self._changed:
            self._open -= 1
        if error is not None:
            answer.fail(error)


def default_cache_tokens(model: Model) -> int:
    """How many tokens' keys and values are held where nobody says: what 1 GiB holds, 32,768 at most, but 8,192 at
    least where the model has as many positions."""
    config = model.decoder.config
    numbers = 2 * int(config["layers"]) * int(config["key_heads"]) * int(config["head_size"])
    held = 2**30 // (numbers * (2 if model.decoder.dtype == "bfloat16" else 4))
    return max(2, min(held, 32768), min(int(config["max_positions"]), 8192))
