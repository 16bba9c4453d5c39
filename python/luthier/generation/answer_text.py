"""The text of an answer while its tokens come: whole characters only, and nothing that a stop string may still take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["AnswerText"]

_INCOMPLETE = "�"  # what a decoder writes for bytes that are no character yet


class AnswerText:
    """Turns tokens into text as they come.

    `add` and `finish` give the text that is settled: it ends with no part of a character, and with nothing that begins
    one of the `stop` strings. Once one of these is complete, `stopped` is true, and the text ends before it. All given
    texts together are the decoded tokens up to there, whatever tokens a character or a stop string is spread over.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(stop)
        self._longest = max(map(len, self._stop), default=0)
        self._tokens: list[int] = []
        # Only the tokens from _first on are decoded: those before them are text, and change none that follow.
        self._first = 0
        self._context = ""
        self._context_end = 0
        self._text = ""
        self._given = 0
        self.stopped = False

    @property
    def given(self) -> int:
        """The characters given so far."""
        return self._given

    @property
    def length(self) -> int:
        """The characters decoded so far, given or not."""
        return len(self._text)

    def add(self, token: int) -> str:
        """The text that one more token settles; often none."""
        self._tokens.append(token)
        window = self._decode(self._tokens[self._first :])
        if window.endswith(_INCOMPLETE):
            return ""
        self._take(window)
        self._first = self._context_end
        self._context_end = len(self._tokens)
        self._context = self._decode(self._tokens[self._first :])
        return self._settled(final=False)

    def finish(self) -> str:
        """The rest of the text, when no more tokens come."""
        if not self.stopped:
            self._take(self._decode(self._tokens[self._first :]))
            self._context = self._decode(self._tokens[self._first :])
        return self._settled(final=True)

    def _take(self, window: str) -> None:
        """Adds what the decoded window has beyond its tokens that are text already."""
        if window.startswith(self._context):
            self._text += window[len(self._context) :]
        else:  # a decoder whose text changes with what follows
            whole = self._decode(self._tokens)
            self._text += whole[len(self._text) :]

    def _settled(self, final: bool) -> str:
        if self.stopped:
            return ""
        found = [at for stop in self._stop if (at := self._text.find(stop, self._given)) >= 0]
        if found:
            self.stopped = True
            end = min(found)
            self._text = self._text[:end]
        else:
            end = len(self._text) - (0 if final else self._held())
        settled = self._text[self._given : end]
        self._given = end
        return settled

    def _held(self) -> int:
        """How many of the last characters may be the beginning of a stop string."""
        for count in range(min(self._longest - 1, len(self._text) - self._given), 0, -1):
            tail = self._text[-count:]
            if any(len(stop) > count and stop.startswith(tail) for stop in self._stop):
                return count
        return 0
