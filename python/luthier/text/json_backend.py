"""Text to ids and back by the tokenizers library, as tokenizer.json describes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.text.backend import Piece
from luthier.text.control import AddedToken
from luthier.text.description import (
    backend_from,
    control_texts,
    read_added_tokens,
    with_special,
    without_first_prefix,
)

__all__ = ["JsonBackend"]


class JsonBackend:
    """The tokenizer that a description amounts to, the content of tokenizer.json.

    `special` are the texts of control tokens besides those that the description calls special; `source` begins the
    messages. Raises InputError where the description is none.
    """

    def __init__(self, description: Mapping[str, Any], special: Iterable[str], source: str) -> None:
        self.description = dict(description)
        # Text is encoded by libraries that know which tokens are control tokens, and never match them.
        control = control_texts(self.description, special, source)
        plain = with_special(self.description, control)
        self._first = backend_from(plain, source)
        later = without_first_prefix(plain)
        self._later = self._first if later == plain else backend_from(later, source)
        self.added: Sequence[AddedToken] = read_added_tokens(self._first, control)
        self.size: int = self._first.get_vocab_size(with_added_tokens=True)
        self.settings: Mapping[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        unknown = (self.description.get("model") or {}).get("unk_token")
        self.unknown_id: int | None = self.id(unknown) if isinstance(unknown, str) else None

    def encode(self, texts: Sequence[str], *, first: bool) -> list[Piece]:
        """Each text's ids with their places; `first` says whether the texts start a row."""
        backend = self._first if first else self._later
        return [(e.ids, e.offsets) for e in backend.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, control tokens spelled out; ids outside the vocabulary write nothing."""
        return str(self._first.decode(list(ids), skip_special_tokens=False))

    def token(self, id: int) -> str | None:
        """The token as the vocabulary spells it, or None."""
        text = self._first.id_to_token(id) if 0 <= id < 2**32 else None
        return None if text is None else str(text)

    def id(self, token: str) -> int | None:
        """The id of a token as the vocabulary spells it, or None."""
        id = self._first.token_to_id(token)
        return None if id is None else int(id)

    def save(self, folder: Path) -> None:
        """Writes tokenizer.json. Raises OSError."""
        (folder / "tokenizer.json").write_text(json.dumps(self.description, ensure_ascii=False), encoding="utf-8")
