"""What was said to a model and what it answered, and the answer to the next message as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.generation import DecodingWorker, Piece, RunningAnswer, Sampling
from luthier.records import Message, Record
from luthier.records.values import BadRowError, text

if TYPE_CHECKING:
    from luthier.models.model import Model

__all__ = ["Conversation", "Turn"]


class Turn:
    """One answer that is being given. `text` is what came so far; `wait` blocks for more."""

    def __init__(self, begin: Callable[[Callable[[Piece], None]], RunningAnswer]) -> None:
        self._pieces: SimpleQueue[Piece] = SimpleQueue()
        self._answer = begin(self._pieces.put)
        self.text = ""
        self.finished = False
        self.cut = False

    def wait(self) -> str:
        """The next piece of the text; "" at the end at the latest. Raises what made the answer fail."""
        piece = self._pieces.get()
        self.text += piece.text
        self.finished = bool(piece.finish)
        self.cut = piece.finish == "length"
        if piece.error is not None:
            raise piece.error
        return piece.text

    def stop(self) -> None:
        """No more is wanted; what came so far is the answer."""
        if not self.finished:
            self.finished = self.cut = True
            self._answer.cancel()


class Conversation:
    """The messages between a user and one model.

    `name` says which model it is where several are shown. Answers are sampled as `temperature` and `seed` say and have
    at most `max_new_tokens`. `system` is the system message. Close it when it is over.
    """

    def __init__(
        self,
        model: Model,
        name: str = "model",
        *,
        max_new_tokens: int = 512,
        temperature: float = 0.0,
        seed: int = 0,
        system: str | None = None,
    ) -> None:
        """Raises InputError for settings out of range."""
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {max_new_tokens}; it must be 1 at least")
        if not temperature >= 0:
            raise InputError(f"temperature is {temperature}; it must be 0 (greedy) or above")
        self.model = model
        self.name = name
        self._sampling = (max_new_tokens, temperature, seed)
        self._start = (Message("system", system, 0.0),) if system is not None else ()
        self._messages = self._start
        self._worker = DecodingWorker(model, max_rows=1, max_waiting=1)

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was said so far."""
        return self._messages

    def reset(self) -> None:
        """Forgets what was said, but for the system message."""
        self._messages = self._start

    def begin(self, said: str) -> Turn:
        """Starts the answer to a message; `end` it before the next. Raises InputError for what is no text, and where
        the conversation has grown longer than the model holds."""
        try:
            asked = Message("user", text(said, "the message"), 0.0)
        except BadRowError as error:
            raise InputError(str(error)) from None
        record = Record((*self._messages, asked), file="conversation", line=1 + len(self._messages))
        try:
            prompt = self.model.encoder.encode_prompt(record)
        except InputError as error:
            raise InputError(str(error).removeprefix(f"{record.where}: ")) from None
        most, temperature, seed = self._sampling
        sampling = Sampling(self._worker.room(len(prompt), None, most), temperature, 1.0, seed)
        return Turn(lambda on_piece: self._worker.submit(prompt, sampling, on_piece))

    def end(self, said: str, turn: Turn) -> None:
        """Keeps a message and its answer; both are forgotten where the answer is empty."""
        turn.stop()
        if turn.text.strip():
            self._messages = (*self._messages, Message("user", said, 0.0), Message("assistant", turn.text, 0.0))

    def ask(self, said: str) -> Iterator[str]:
        """The answer to a message, piece by piece. Where it is left early, what came so far is kept."""
        turn = self.begin(said)
        try:
            while not turn.finished:
                yield turn.wait()
        finally:
            self.end(said, turn)

    def close(self) -> None:
        """Ends the thread that decodes."""
        self._worker.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
