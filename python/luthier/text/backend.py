"""What a tokenizer does with plain text, whichever library does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from luthier.text.control import AddedToken

__all__ = ["Backend", "Piece"]

# The token ids of a run of text, and the [start, end) characters of the run that each stands for.
Piece = tuple[list[int], list[tuple[int, int]]]


class Backend(Protocol):
    """Text to ids and back, in which spellings of control tokens are text like any other.

    `added` are the tokens that are matched whole, by id; `size` is the number of ids; `unknown_id` is the token for
    characters outside the vocabulary, where there is one. `settings` are the keys of a tokenizer_config.json that the
    vocabulary's file does not hold, the class of Transformers that reads it among them.
    """

    added: Sequence[AddedToken]
    size: int
    unknown_id: int | None
    settings: Mapping[str, Any]

    def encode(self, texts: Sequence[str], *, first: bool) -> list[Piece]:
        """Each text's ids with their places; `first` says whether the texts start a row."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, control tokens spelled out; ids outside the vocabulary write nothing."""
        ...

    def token(self, id: int) -> str | None:
        """The token as the vocabulary spells it, or None."""
        ...

    def id(self, token: str) -> int | None:
        """The id of a token as the vocabulary spells it, or None."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the vocabulary's file, as Transformers reads it. Raises OSError."""
        ...
