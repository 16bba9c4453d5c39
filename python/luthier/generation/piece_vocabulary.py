"""The vocabulary of a sentencepiece model as `llguidance` takes it: what each token writes, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from luthier.errors import LuthierError

if TYPE_CHECKING:
    from luthier.text.tokenizer import Tokenizer

__all__ = ["PieceVocabulary"]


class PieceVocabulary:
    """The tokens of a tokenizer whose file is a sentencepiece model; the names are those that `llguidance` asks for.

    `size` is the number of rows of the model's head, `ends` the tokens that end an answer. Rows without a token, and
    control tokens, write nothing.
    """

    def __init__(self, tokenizer: Tokenizer, size: int, ends: Sequence[int]) -> None:
        from luthier import _core

        pieces = tokenizer.pieces
        if pieces is None:
            raise LuthierError("[constrain] the tokenizer is no sentencepiece model")
        self.tokens = [pieces.written(id) for id in range(size)]
        silent = tokenizer.control.ids | {id for id, token in enumerate(self.tokens) if not token}
        self.special_token_ids = sorted(id for id in silent if id < size)
        for id in self.special_token_ids:
            self.tokens[id] = f"<|{id}|>".encode()
        self.eos_token_id = ends[0]
        self.bos_token_id = tokenizer.bos_id
        bare = pieces.model.with_prefix(False)
        self._model = _core.SentencePieceModel.load(bare.write(), bare.name)

    def __call__(self, text: str) -> list[int]:
        """The ids of text that stands behind other text."""
        return self._model.encode(text)
