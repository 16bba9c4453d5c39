"""An answer as the event loop sees it: pieces that come, a time limit, and an end when nobody wants it any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from luthier.errors import InputError
from luthier.generation import BusyError, DecodingWorker, Mask, Piece, RunningAnswer, Sampling
from luthier.serve.answer_format import format_error
from luthier.serve.errors import RequestError

__all__ = ["LiveAnswer", "out_of_time"]


class LiveAnswer:
    """An answer that a worker decodes for one request. Call `close` when it is over or not wanted any more."""

    def __init__(
        self,
        worker: DecodingWorker,
        prompt: list[int],
        sampling: Sampling,
        deadline: float,
        mask: Mask | None = None,
    ) -> None:
        """`deadline` is a time of the event loop; `mask` restricts the tokens. Raises RequestError where too many
        requests wait."""
        self.prompt_tokens = len(prompt)
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue()
        self._finished = False
        self._constrained = mask is not None
        try:
            self._answer: RunningAnswer = worker.submit(prompt, sampling, self._receiver(), mask)
        except BusyError as error:
            raise RequestError(429, f"{error}; try again later", code="too_many_requests") from None

    async def pieces(self) -> AsyncIterator[Piece]:
        """The pieces as they come; the last one has a `finish`. Raises RequestError where the answer fails, and at the
        deadline."""
        while not self._finished:
            left = self._deadline - self._loop.time()
            if left <= 0:
                raise out_of_time()
            try:
                piece = await asyncio.wait_for(self._pieces.get(), left)
            except asyncio.TimeoutError:
                raise out_of_time() from None
            if piece.finish == "failed":
                self._finished = True
                raise _failure(piece.error, self._constrained)
            self._finished = bool(piece.finish)
            yield piece

    def close(self) -> None:
        """Stops the decoding, if it still goes on."""
        if not self._finished:
            self._finished = True
            self._answer.cancel()

    def _receiver(self) -> Callable[[Piece], None]:
        loop, pieces = self._loop, self._pieces

        def receive(piece: Piece) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        return receive


def out_of_time() -> RequestError:
    """The request took longer than it may."""
    return RequestError(504, "the answer took longer than the server's time limit", code="timeout")


def _failure(error: Exception | None, constrained: bool) -> RequestError:
    if isinstance(error, InputError):
        said = str(error)
        return (
            format_error(said.removeprefix("[constrain] "), "invalid_schema")
            if constrained
            else RequestError(400, said)
        )
    if isinstance(error, MemoryError):
        return RequestError(503, "the server has not enough memory for the answer", code="out_of_memory")
    return RequestError(500, "the answer could not be computed", code="internal_error")
